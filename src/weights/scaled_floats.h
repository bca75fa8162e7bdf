#pragma once

#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// Scaled 8-bit floats: gives each `<layer>.weight` of F8 the numbers of its `<layer>.scale_weight`
/// (ComfyUI, marked by a tensor `scaled_fp8`) or `<layer>.weight_scale` (ComfyUI since 2025,
/// compressed-tensors) and takes those tensors out, with what else is for running in 8 bits
/// (`scale_input`, `input_scale`, `comfy_quant`). Tensors of other types are left alone. Errors:
/// kCorruptFile for numbers that are not finite; kUnsupported for scales of blocks.
Status attach_scales(TensorIndex& index);

}  // namespace safelight::weights
