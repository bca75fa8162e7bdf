#include "jobs/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <system_error>

#include "base/text.h"

namespace safelight::jobs {
namespace {

constexpr mode_t kOwnerOnly = 0700;
constexpr mode_t kOwnerFile = 0600;

Error system_error(const std::filesystem::path& path, const char* action) {
  return {ErrorCode::kIo, fmt::format("{}: cannot {}: {}; see that the disk has room and that "
                                      "this user may write there",
                                      path.string(), action, std::strerror(errno))};
}

Status make_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  if (folder.has_parent_path()) {
    std::filesystem::create_directories(folder.parent_path(), failure);
  }
  if (::mkdir(folder.c_str(), kOwnerOnly) != 0 && errno != EEXIST) {
    return system_error(folder, "make the folder");
  }
  if (!std::filesystem::is_directory(folder, failure)) {
    return Error{ErrorCode::kIo, folder.string() + ": is no folder; name another one"};
  }
  return {};
}

/// What the lock file holds: the process that has it, or nothing after an end in order.
std::string holder(int lock) {
  std::array<char, 32> text{};
  const ssize_t got = ::pread(lock, text.data(), text.size() - 1, 0);
  return std::string(trimmed({text.data(), got > 0 ? static_cast<size_t>(got) : 0}));
}

}  // namespace

Status sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error(folder, "open it");
  const bool synced = ::fsync(fd) == 0;
  const Error error = system_error(folder, "write it to the disk");
  ::close(fd);
  return synced ? Status() : error;
}

Result<std::unique_ptr<DataFolder>> DataFolder::open(const std::filesystem::path& folder) {
  if (Status made = make_folder(folder); !made) return made.error();
  std::unique_ptr<DataFolder> opened(new DataFolder);
  opened->path_ = folder;
  const auto file = folder / "lock";
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerFile);
  if (lock < 0) return system_error(file, "open it");
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const Error error =
        errno == EWOULDBLOCK
            ? Error{ErrorCode::kConflict,
                    fmt::format("{}: process {} uses this folder; end it, or name another folder",
                                folder.string(), holder(lock))}
            : system_error(file, "lock it");
    ::close(lock);
    return error;
  }
  opened->left_in_disorder_ = !holder(lock).empty();
  const std::string process = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, process.data(), process.size(), 0) != static_cast<ssize_t>(process.size()) ||
      ::fsync(lock) != 0) {
    const Error error = system_error(file, "write it");
    ::close(lock);
    return error;
  }
  opened->lock_ = lock;
  return opened;
}

DataFolder::~DataFolder() {
  if (lock_ < 0) return;
  if (settled_) static_cast<void>(::ftruncate(lock_, 0));
  ::close(lock_);
}

}  // namespace safelight::jobs
