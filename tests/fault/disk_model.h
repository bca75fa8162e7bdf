#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace safelight::fault {

/// A call that changed files, as record_io.c wrote it down, or a note of the program.
struct Call {
  enum class Kind : char {
    kOpen = 'O',  ///< offset 1: and emptied
    kClose = 'C',
    kWrite = 'W',
    kTruncate = 'T',
    kSync = 'S',
    kFailedSync = 'F',
    kMakeFolder = 'D',
    kRename = 'R',  ///< to the path in `data`
    kUnlink = 'U',
    kNote = 'N'  ///< the text is in `path`
  };
  Kind kind = Kind::kNote;
  int fd = -1;
  int64_t offset = 0;
  std::string path, data;
};

/// Throws std::runtime_error for what is no such log.
std::vector<Call> read_calls(const std::filesystem::path& log);

/// A disk that keeps of files only what was synced, and of names in a folder only those that were
/// there when the folder was. More than the least that systems promise is not relied on.
class DiskModel {
 public:
  explicit DiskModel(std::filesystem::path root);

  void apply(const Call& call);

  /// Writes what a crash now leaves into `folder`. Without `random` all that was not synced is
  /// lost; with it, any part of the writes to files (half a write included), and of the changes of
  /// each folder a beginning, got to the disk by themselves.
  void crash(const std::filesystem::path& folder, std::mt19937* random) const;

 private:
  struct Change {
    bool is_truncate = false;
    int64_t offset = 0;  ///< of bytes, or the new size
    std::string data;
  };
  struct File {
    std::string kept;
    std::vector<Change> unsynced;
  };
  struct Node {
    std::shared_ptr<File> file;  ///< null for a folder
  };
  using Names = std::map<std::string, Node>;
  struct Folder {
    Names now, kept;
    std::vector<std::function<void(Names&)>> unsynced;
  };
  using Folders = std::map<std::filesystem::path, Folder>;

  void open(const Call& call);
  void sync(int fd);
  void change_name(const std::filesystem::path& path, const std::shared_ptr<Node>& node);
  void write_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                    std::mt19937* random) const;

  static void apply(const Change& change, std::string& content);

  std::filesystem::path root_;
  Folders folders_;
  std::map<int, std::shared_ptr<File>> open_files_;
  std::map<int, std::filesystem::path> open_folders_;
};

}  // namespace safelight::fault
