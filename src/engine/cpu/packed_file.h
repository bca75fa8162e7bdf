#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace safelight::engine::cpu {

/// A weight in a method's own form.
struct PackedPiece {
  std::string name, form;
  Bytes bytes;
};

/// Packed weights kept on disk, so that a later start maps them instead of packing anew. The file
/// is "SLPACK1\n", the length of an index (u64, little-endian), the index as JSON, and the pieces,
/// each aligned to 64 bytes and with its XXH3 hash in the index.
class PackedFile {
 public:
  /// Opens what is there. `made_by` is what the pieces depend on besides name and form; a file that
  /// is missing, damaged or made by other circumstances counts as empty.
  PackedFile(std::filesystem::path path, std::string made_by);

  /// The piece of that name, form and size, aligned for kernels, while this object lives; null
  /// where there is none or its hash is wrong.
  const std::byte* find(const std::string& name, const std::string& form, size_t bytes) const;

  /// Replaces the file by one with these pieces. Errors: those of write_file_atomically.
  Status write(const std::vector<PackedPiece>& pieces) const;

 private:
  struct Piece {
    Bytes bytes;
    uint64_t hash = 0;
  };
  void read_index();

  std::filesystem::path path_;
  std::string made_by_;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::pair<std::string, std::string>, Piece> pieces_;
};

}  // namespace safelight::engine::cpu
