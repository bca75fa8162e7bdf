#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace safelight {

using Bytes = std::span<const std::byte>;

/// The whole file as bytes. Errors: kNotFound, kIo, kInvalidArgument when larger than `limit`.
Result<std::string> read_file(const std::filesystem::path& path,
                              uint64_t limit = uint64_t{1} << 30);

/// Writes beside `path` and renames over it, so that a reader sees the old file or the whole new
/// one. Missing parent folders are made. Errors: kIo naming the path and the cause, also for a
/// folder, device or pipe at `path`.
Status write_file_atomically(const std::filesystem::path& path, std::string_view data);
/// The same for data in parts, written one after the other.
Status write_file_atomically(const std::filesystem::path& path,
                             const std::vector<std::string_view>& parts);
/// The same, readable and writable by its owner alone: for secrets.
Status write_private_file(const std::filesystem::path& path, std::string_view data);

/// A file that is written in parts and appears whole: it grows beside its place and is renamed over
/// it by commit(); without one it is removed. Not for several threads at a time.
class AtomicFile {
 public:
  /// Missing parent folders are made. Errors: kIo, also for a folder, device or pipe at `path`.
  static Result<AtomicFile> create(const std::filesystem::path& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  /// Appends. Errors: kIo.
  Status write(std::string_view data);
  Status write(Bytes data);
  /// Makes what was written the file at `path`, on the disk when this returns; `owner_only`: nobody
  /// else may read it. Errors: kIo.
  Status commit(bool owner_only = false);

 private:
  AtomicFile(std::filesystem::path path, std::string temporary, int file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(file) {}

  std::filesystem::path path_;
  std::string temporary_;
  int file_;
};

/// Whether write_file_atomically(path) could work now, by trying: makes missing parent folders.
Status check_writable(const std::filesystem::path& path);

/// A read-only memory map of a regular file; unmapped by the destructor.
class MappedFile {
 public:
  /// Errors: kNotFound, kIo; an empty file maps to an empty span.
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  /// Gives the memory of `part` of bytes() back to the system, which reads it again from the file
  /// when it is needed: for what was copied elsewhere and is not soon read again.
  void release(Bytes part) const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::filesystem::path path_;
};

}  // namespace safelight
