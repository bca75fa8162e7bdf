#pragma once

#include <memory>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// Whether the first bytes are those of a zip archive or a pickle, as torch.save writes them.
bool looks_like_torch(Bytes file);

/// Reads what torch.save wrote (.ckpt, .pt, .pth, .bin), in its form of today (a zip archive) or
/// that before torch 1.6, without running any of it. Of nested dictionaries the one with the model
/// is taken ("state_dict", "model", "params_ema", ...); other levels are joined by dots; texts and
/// numbers beside it become metadata. Tensors are views into the file where they are dense, and
/// copies where they are not. `owner` and `mapping` as in parse_safetensors. Errors: kCorruptFile;
/// kUnsupported for a file that names anything but tensors, for hypernetworks, TorchScript and
/// types that we lack.
Result<TensorIndex> parse_torch(Bytes file, std::string_view name,
                                const std::shared_ptr<const void>& owner = nullptr,
                                const MappedFile* mapping = nullptr);

}  // namespace safelight::weights
