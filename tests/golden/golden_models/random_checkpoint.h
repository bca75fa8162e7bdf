#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace safelight::testing {

/// Whose names a test checkpoint uses.
enum class Dialect {
  kOriginal,
  kDiffusers,
  kOlderDiffusers,  ///< the VAE's attention before 0.18, the text encoder with its inner name
};

/// In what kind of file a test checkpoint is.
enum class Container { kSafetensors, kTorch, kGguf };

/// A tiny random checkpoint of tools/reference/record_sd1.py or record_families.py, made again from
/// its names and shapes by the same hash, and what the reference computed with it.
class RandomCheckpoint {
 public:
  /// `variant`: a folder of tests/golden/data/<group>.
  explicit RandomCheckpoint(const std::string& variant, const std::string& group = "sd1");

  /// Writes the checkpoint below `folder`; gives what open_weights takes: a file or a diffusers
  /// folder. Others than safetensors are for the original dialect.
  std::filesystem::path write(const std::filesystem::path& folder, Dialect dialect,
                              Container container = Container::kSafetensors) const;

  /// A list of numbers in checkpoint.json.
  std::vector<double> numbers(const std::string& name) const;
  /// A recorded tensor.
  Tensor recorded(const std::string& name) const;
  std::vector<std::string> recorded_names() const;

 private:
  std::filesystem::path data_;
};

}  // namespace safelight::testing
