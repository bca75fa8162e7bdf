#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"

namespace safelight::jobs {

/// Makes what was renamed, made or removed in the folder survive a crash of the machine.
Status sync_folder(const std::filesystem::path& folder);

/// A server's folder, which no second one may use while this lives.
class DataFolder {
 public:
  /// Makes the folder, for its user alone (mode 0700), when it is not there. Errors: kConflict
  /// naming the process that uses it; kIo.
  static Result<std::unique_ptr<DataFolder>> open(const std::filesystem::path& folder);
  /// Notes, once all is settled, that the server ended in order.
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Whether the server before this one died, and may have left things behind.
  bool left_in_disorder() const { return left_in_disorder_; }
  /// What was left behind is taken up.
  void settled() { settled_ = true; }

 private:
  DataFolder() = default;

  std::filesystem::path path_;
  int lock_ = -1;
  bool left_in_disorder_ = false, settled_ = false;
};

}  // namespace safelight::jobs
