#pragma once

#include <filesystem>

#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// Opens the weights at `path`, memory-mapped:
///  - a file of safetensors, GGUF or torch (.ckpt, .pt, .pth, .bin), told by its first bytes;
///  - a `*.safetensors.index.json` or `*.bin.index.json`, whose shards lie beside it;
///  - a folder that holds one of those (a config.json beside it becomes configs[""]);
///  - a diffusers folder (model_index.json): each component folder's weights, its tensors named
///    `<component>.<name>` ("unet.", "vae.", "text_encoder.", ...), its config.json in
///    `configs[component]`, that of the scheduler in `configs["scheduler"]`, model_index.json
///    itself in `configs[""]`. Of variants the plain one is taken, else fp16's, bf16's, the
///    averaged one (ema), non_ema's, else the only one there is; safetensors before .bin.
/// Scaled 8-bit floats have their scales with them (weights/scaled_floats.h).
/// Errors: kNotFound, kIo, kCorruptFile, kUnsupported; each names the file, and the tensor if it is
/// about one.
Result<TensorIndex> open_weights(const std::filesystem::path& path);

}  // namespace safelight::weights
