#include "jobs/result_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <system_error>

#include "base/file.h"
#include "base/hash.h"
#include "jobs/data_folder.h"

namespace safelight::jobs {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kOwnerOnly = 0700;
constexpr size_t kHashDigits = 64, kFolderDigits = 2;
/// Files that are being written are in there.
constexpr const char* kUnfinished = "unfinished";

Error system_error(const fs::path& path, const char* action) {
  return {ErrorCode::kIo,
          fmt::format("{}: cannot {}: {}; nothing that was accepted is lost, and it works again as "
                      "soon as the disk takes it",
                      path.string(), action, std::strerror(errno))};
}

Status write_synced(int fd, std::string_view data, const fs::path& path) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd, data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(path, "write it");
    data.remove_prefix(static_cast<size_t>(put));
  }
  return ::fsync(fd) == 0 ? Status() : system_error(path, "write it");
}

bool is_hash(const std::string& name) {
  return name.size() == kHashDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

ResultFiles::Hold::Hold(ResultFiles& files, std::vector<std::string> hashes)
    : files_(files), hashes_(std::move(hashes)) {
  const std::lock_guard lock(files_.mutex_);
  for (const auto& hash : hashes_) ++files_.held_[hash];
}

ResultFiles::Hold::~Hold() {
  const std::lock_guard lock(files_.mutex_);
  for (const auto& hash : hashes_) {
    const auto held = files_.held_.find(hash);
    if (--held->second == 0) files_.held_.erase(held);
  }
}

fs::path ResultFiles::path_of(const std::string& sha256) const {
  return folder_ / sha256.substr(0, kFolderDigits) / sha256;
}

bool ResultFiles::empty() const {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder_, ignored)) {
    if (is_hash(entry.path().filename().string())) return false;
  }
  return true;
}

/// Makes the folder and its entry in the parent durable, once.
Status ResultFiles::ensure_folder(const fs::path& folder) {
  const std::lock_guard lock(folders_mutex_);
  if (folders_.contains(folder)) return {};
  if (::mkdir(folder.c_str(), kOwnerOnly) != 0 && errno != EEXIST) {
    return system_error(folder, "make the folder");
  }
  if (Status synced = sync_folder(folder.parent_path()); !synced) return synced;
  folders_.insert(folder);
  return {};
}

Status ResultFiles::write(const std::string& sha256, std::string_view data) {
  const fs::path target = path_of(sha256);
  const fs::path unfinished = folder_ / kUnfinished;
  for (const auto& folder : {folder_, unfinished, target.parent_path()}) {
    if (Status made = ensure_folder(folder); !made) return made;
  }
  std::string temporary = (unfinished / (sha256 + ".XXXXXX")).string();
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error(temporary, "write it");
  Status written = write_synced(fd, data, temporary);
  ::close(fd);
  if (written && ::rename(temporary.c_str(), target.c_str()) != 0) {
    written = system_error(target, "put it in place");
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(target.parent_path());
}

Result<std::string> ResultFiles::read(const std::string& sha256, uint64_t bytes) const {
  const fs::path path = path_of(sha256);
  auto data = read_file(path, bytes);
  if (!data && data.error().code == ErrorCode::kInvalidArgument) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("{}: is larger than the {} bytes that were stored; the disk or "
                             "somebody changed it",
                             path.string(), bytes)};
  }
  if (!data) return data;
  if (safelight::sha256(std::as_bytes(std::span(*data))) != sha256) {
    return Error{ErrorCode::kCorruptFile,
                 path.string() + ": is not what was stored; the disk or somebody changed it"};
  }
  return data;
}

Status ResultFiles::remove_unused(const std::string& sha256, const IsUsed& used) {
  const std::lock_guard lock(mutex_);
  if (held_.contains(sha256)) return {};
  const auto is_used = used(sha256);
  if (!is_used) return is_used.error();
  if (*is_used || ::unlink(path_of(sha256).c_str()) == 0 || errno == ENOENT) return {};
  return system_error(path_of(sha256), "remove it");
}

Status ResultFiles::tidy(bool all, const IsUsed& used) {
  std::error_code failure;
  fs::remove_all(folder_ / kUnfinished, failure);
  if (!all) return {};
  std::vector<std::string> hashes;
  for (const auto& entry : fs::recursive_directory_iterator(folder_, failure)) {
    std::string name = entry.path().filename().string();
    if (is_hash(name)) hashes.push_back(std::move(name));
  }
  for (const auto& hash : hashes) {
    if (Status removed = remove_unused(hash, used); !removed) return removed;
  }
  return {};
}

}  // namespace safelight::jobs
