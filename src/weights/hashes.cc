#include "weights/hashes.h"

#include <algorithm>

#include "base/file.h"
#include "base/hash.h"
#include "weights/byte_reader.h"

namespace safelight::weights {
namespace {

/// Where the tensors of a safetensors file begin; 0 for other files.
uint64_t begin_of_tensors(Bytes file) {
  ByteReader reader(file);
  const auto length = reader.number<uint64_t>();
  const auto first = reader.number<char>();
  if (!length || !first || *first != '{' || *length > file.size() - sizeof(uint64_t)) return 0;
  return sizeof(uint64_t) + *length;
}

}  // namespace

Result<std::string> webui_short_hash(const std::filesystem::path& path) {
  constexpr size_t kFrom = 0x100000, kSize = 0x10000, kDigits = 8;
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  const Bytes bytes = (*file)->bytes();
  const size_t from = std::min(kFrom, bytes.size());
  return sha256(bytes.subspan(from, std::min(kSize, bytes.size() - from))).substr(0, kDigits);
}

Result<bool> has_tensor_hash(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  return begin_of_tensors((*file)->bytes()) > 0;
}

Result<std::string> tensor_hash(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  const Bytes bytes = (*file)->bytes();
  const uint64_t begin = begin_of_tensors(bytes);
  return begin == 0 ? std::string() : sha256(bytes.subspan(begin));
}

}  // namespace safelight::weights
