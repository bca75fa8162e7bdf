#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/descriptor.h"

namespace safelight {
namespace {

Error system_error(const std::filesystem::path& path, const char* action) {
  const int cause = errno;
  return {cause == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          fmt::format("{}: cannot {}: {}", path.string(), action, std::strerror(cause))};
}

/// Opens a regular file for reading and tells its size; folders, pipes and devices are refused.
Result<uint64_t> regular_file_size(const Descriptor& file, const std::filesystem::path& path) {
  if (!file.valid()) return system_error(path, "open it");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(path, "read its size");
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kInvalidArgument, path.string() + ": is not a regular file"};
  }
  return static_cast<uint64_t>(info.st_size);
}

Status make_parent(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.parent_path();
  if (parent.empty()) return {};
  std::error_code failure;
  std::filesystem::create_directories(parent, failure);
  if (failure) {
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot make the folder: {}", parent.string(), failure.message())};
  }
  return {};
}

/// Renaming over a device or pipe would replace it: /dev/null, for a user who may.
Status check_replaceable(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_directory(status))
    return Error{ErrorCode::kIo, path.string() + ": is a folder; a file name is needed"};
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return Error{ErrorCode::kIo, path.string() + ": is not a regular file; it is not replaced"};
  return {};
}

mode_t usual_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

Status write_atomically(const std::filesystem::path& path,
                        const std::vector<std::string_view>& parts, bool owner_only) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.error();
  for (const std::string_view part : parts) {
    if (Status written = file->write(part); !written) return written;
  }
  return file->commit(owner_only);
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, uint64_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const Result<uint64_t> size = regular_file_size(file, path);
  if (!size) return size.error();
  if (*size > limit) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("{}: has {} bytes; at most {} are read here", path.string(), *size, limit)};
  }
  std::string data(*size, '\0');
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t got = ::read(file.get(), data.data() + done, data.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "read it");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  data.resize(done);
  return data;
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view data) {
  return write_file_atomically(path, std::vector<std::string_view>{data});
}

Status write_file_atomically(const std::filesystem::path& path,
                             const std::vector<std::string_view>& parts) {
  return write_atomically(path, parts, false);
}

Status write_private_file(const std::filesystem::path& path, std::string_view data) {
  return write_atomically(path, {data}, true);
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path) {
  if (Status good = check_replaceable(path); !good) return good.error();
  if (Status made = make_parent(path); !made) return made.error();
  std::string temporary = path.string() + ".part-XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return system_error(path, "write it");
  return AtomicFile(path, std::move(temporary), file);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::exchange(other.file_, -1)) {}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::string_view data) {
  while (!data.empty()) {
    const ssize_t put = ::write(file_, data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(path_, "write it");
    data.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Status AtomicFile::write(Bytes data) {
  return write(std::string_view(reinterpret_cast<const char*>(data.data()), data.size()));
}

Status AtomicFile::commit(bool owner_only) {
  const mode_t mode = owner_only ? S_IRUSR | S_IWUSR : usual_mode();
  if (::fchmod(file_, mode) != 0) return system_error(path_, "set its mode");
  if (::fsync(file_) != 0) return system_error(path_, "write it");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return system_error(path_, "put it in place");
  }
  temporary_.clear();
  return {};
}

Status check_writable(const std::filesystem::path& path) {
  if (Status good = check_replaceable(path); !good) return good;
  // Rights alone do not tell: the file system may be full, read-only or not take files at all.
  if (Status made = make_parent(path); !made) return made;
  std::string temporary = path.string() + ".part-XXXXXX";
  const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return system_error(path, "write it");
  ::unlink(temporary.c_str());
  return {};
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const Result<uint64_t> size = regular_file_size(file, path);
  if (!size) return size.error();
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->path_ = path;
  if (*size > 0) {
    void* data = ::mmap(nullptr, *size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED) return system_error(path, "map it into memory");
    mapped->data_ = static_cast<const std::byte*>(data);
    mapped->size_ = *size;
  }
  return std::shared_ptr<const MappedFile>(std::move(mapped));
}

void MappedFile::release(Bytes part) const {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  // Pages that other parts share are released too: they come back from the page cache.
  const auto begin = reinterpret_cast<uintptr_t>(part.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data()) + part.size();
  if (!part.empty()) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace safelight
