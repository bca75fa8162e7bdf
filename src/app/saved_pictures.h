#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>

#include "jobs/store.h"

namespace safelight::app {

/// The output folder of a server: pictures under names that people chose, besides the store's own
/// files. Any thread.
class SavedPictures {
 public:
  /// `pattern` gives the pattern of names in force; a job may have its own.
  SavedPictures(std::filesystem::path folder, std::function<std::string()> pattern)
      : folder_(std::move(folder)), pattern_(std::move(pattern)) {}

  /// Writes the picture beside those there are, replacing none; its path. Errors: those of
  /// write_file_atomically.
  Result<std::string> save(const jobs::Job& job, const jobs::FinishedPicture& picture);

 private:
  const std::filesystem::path folder_;
  const std::function<std::string()> pattern_;
  std::mutex mutex_;
  int64_t next_number_ = 0;  ///< 0: not looked up yet
};

}  // namespace safelight::app
