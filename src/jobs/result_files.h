#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::jobs {

/// Results as files named by their SHA-256, `ab/abcdef...` in a folder; the same content is kept
/// once. What is written is durable before it can be referred to. Any thread.
class ResultFiles {
 public:
  /// While it lives, files written with it are not removed.
  class Hold {
   public:
    Hold(ResultFiles& files, std::vector<std::string> hashes);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    ResultFiles& files_;
    std::vector<std::string> hashes_;
  };
  /// Whether something refers to the file of that hash.
  using IsUsed = std::function<Result<bool>(const std::string& sha256)>;

  explicit ResultFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Whether there are any.
  bool empty() const;
  /// Writes one, durably. Errors: kIo, and nothing is left behind.
  Status write(const std::string& sha256, std::string_view data);
  /// Errors: kNotFound; kCorruptFile when the content has not that hash any more; kIo.
  Result<std::string> read(const std::string& sha256, uint64_t bytes) const;
  /// Removes the file unless it is held or used. Errors: kIo, those of `used`.
  Status remove_unused(const std::string& sha256, const IsUsed& used);
  /// Removes what a server that died left: unfinished files and, with `all`, unused ones. Looks at
  /// every file then.
  Status tidy(bool all, const IsUsed& used);

 private:
  std::filesystem::path path_of(const std::string& sha256) const;
  Status ensure_folder(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  std::mutex mutex_;
  std::map<std::string, int> held_;
  std::mutex folders_mutex_;
  std::set<std::filesystem::path> folders_;  ///< that are durable
};

}  // namespace safelight::jobs
