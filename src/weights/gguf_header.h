#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/safetensors.h"

namespace safelight::weights {

/// What stands before the tensors in a GGUF file, up to where the first one begins. They follow in
/// their order, each padded to kGgufAlignment. A tensor whose rows no block divides is stored in
/// rows of one block, with ComfyUI-GGUF's note of its own shape. `architecture` is "sd1", "sdxl",
/// ... Metadata become texts; those that GGUF gives a meaning of its own are left out. Every type
/// is one that GGUF has.
std::string gguf_header(const std::vector<StoredTensor>& tensors,
                        const TensorIndex::Metadata& metadata, std::string_view architecture);

/// Bytes from the end of a tensor of `bytes` to where the next one begins.
uint64_t gguf_padding(uint64_t bytes);

}  // namespace safelight::weights
