#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

struct SaveOptions {
  /// kSafetensors or kGguf.
  FileFormat format = FileFormat::kSafetensors;
  /// What real numbers become: kF32, kF16, kBF16 or, in GGUF, kQ8_0. Without it tensors stay as
  /// they are where the format has their type, and become F16 where it has not.
  std::optional<graph::DType> precision;
  /// Told of the bytes that were read, of how many; an error ends the work.
  std::function<Status(uint64_t done, uint64_t total)> progress;
};

/// Writes tensors under their names, with their metadata, into one file, atomically and a piece at
/// a time: a model larger than the memory can be written. Whole numbers stay as they are. GGUF
/// keeps vectors in F32, as its programs expect, and under kQ8_0 tensors whose rows 32 does not
/// divide in F16. Errors: kInvalidArgument for what the format has not, and for values that the
/// precision cannot hold; those of AtomicFile and of `progress`.
Status save_weights(const TensorIndex& index, const std::filesystem::path& path,
                    const SaveOptions& options);

}  // namespace safelight::weights
