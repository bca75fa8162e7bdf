#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace safelight::app {

/// What people know a model file by.
struct ModelHashes {
  std::string
      sha256;  ///< 64 digits; the first 10 are Civitai's AutoV2 and SD WebUI's hash of today
  std::string autov3;  ///< SHA-256 without the header; the first 12 digits are Civitai's AutoV3
  std::string older;   ///< 8 digits: SD WebUI's hash before 2023
};

/// Hashes of model files, remembered by path, size and time of last change in a JSON file, since
/// hashing gigabytes takes many seconds.
class HashCache {
 public:
  /// Reads what is remembered; a file that is missing or unreadable counts as empty.
  explicit HashCache(std::filesystem::path file);

  /// The hash as 64 hexadecimal digits if it is remembered and the model has not changed since.
  std::optional<std::string> known(const std::filesystem::path& model) const;

  /// Whether a remembered hash of the model begins so: AutoV3, or SHA-256 (and AutoV2 with it).
  bool is_known_as(const std::filesystem::path& model, std::string_view beginning) const;

  /// The hash, computed and remembered if need be. A folder of diffusers has none: empty. Errors:
  /// those of reading the model; that the cache cannot be written is only logged.
  Result<std::string> sha256(const std::filesystem::path& model);

  /// All hashes, computed and remembered if need be; `autov3` is empty for files that are no
  /// safetensors, and all are for a folder. Errors: as sha256().
  Result<ModelHashes> all(const std::filesystem::path& model);

  /// Of the file as it is now, whatever is remembered; what is then remembered is this. Errors: as
  /// sha256().
  Result<ModelHashes> compute(const std::filesystem::path& model);

 private:
  struct Entry {
    uint64_t size = 0;
    int64_t changed = 0;  ///< nanoseconds since the epoch
    std::string sha256;
    std::string autov3;  ///< empty when not known yet
  };
  void read();
  void save() const;

  std::filesystem::path file_;
  std::map<std::string, Entry> entries_;
};

}  // namespace safelight::app
