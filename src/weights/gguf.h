#pragma once

#include <memory>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// Whether the file begins as GGUF does.
bool looks_like_gguf(Bytes file);

/// Reads GGUF (ggml's docs/gguf.md, versions 2 and 3, little-endian) as stable-diffusion.cpp and
/// ComfyUI-GGUF write it: shapes are turned to row-major order, and ComfyUI-GGUF's note of a
/// tensor's own shape is followed. Quantized tensors stay as they are in the file and are
/// dequantized when they are converted (weights/convert.h). Texts, numbers and short lists become
/// metadata. `owner` and `mapping` as in parse_safetensors; never reads the tensors. Errors:
/// kCorruptFile; kUnsupported for other versions, parts of a split file and types that we lack.
Result<TensorIndex> parse_gguf(Bytes file, std::string_view name,
                               const std::shared_ptr<const void>& owner = nullptr,
                               const MappedFile* mapping = nullptr);

}  // namespace safelight::weights
