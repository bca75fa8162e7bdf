#include "engine/cpu/packed_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <cstring>
#include <optional>

#include "base/json.h"
#include "base/log.h"
#include "engine/cpu/memory_plan.h"

namespace safelight::engine::cpu {
namespace {

namespace json = boost::json;

constexpr std::string_view kMagic = "SLPACK1\n";
constexpr size_t kIndexBegin = kMagic.size() + sizeof(uint64_t);
constexpr uint64_t kMaxIndex = uint64_t{64} << 20;

uint64_t hash_of(Bytes bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

size_t aligned(size_t offset) {
  return (offset + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

/// The index of a file, where it has the right form.
std::optional<json::object> index_of(Bytes file) {
  if (file.size() < kIndexBegin || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0)
    return std::nullopt;
  uint64_t length = 0;
  std::memcpy(&length, file.data() + kMagic.size(), sizeof length);
  if (length > kMaxIndex || length > file.size() - kIndexBegin) return std::nullopt;
  const Result<json::value> parsed =
      parse_json({reinterpret_cast<const char*>(file.data()) + kIndexBegin, length});
  if (!parsed || !parsed->is_object()) return std::nullopt;
  return parsed->get_object();
}

template <class T>
std::optional<T> member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  const auto converted = json::try_value_to<T>(*value);
  return converted ? std::optional<T>(*converted) : std::nullopt;
}

}  // namespace

PackedFile::PackedFile(std::filesystem::path path, std::string made_by)
    : path_(std::move(path)), made_by_(std::move(made_by)) {
  auto file = MappedFile::open(path_);
  if (!file) return;
  file_ = std::move(*file);
  read_index();
}

void PackedFile::read_index() {
  const Bytes all = file_->bytes();
  const std::optional<json::object> index = index_of(all);
  if (!index || member<std::string>(*index, "made_by") != made_by_) return;
  const json::value* list = index->if_contains("pieces");
  if (list == nullptr || !list->is_array()) return;
  for (const json::value& entry : list->get_array()) {
    if (!entry.is_object()) continue;
    const json::object& piece = entry.get_object();
    const auto name = member<std::string>(piece, "name"), form = member<std::string>(piece, "form");
    const auto offset = member<uint64_t>(piece, "offset"), bytes = member<uint64_t>(piece, "bytes"),
               hash = member<uint64_t>(piece, "xxh3");
    if (!name || !form || !offset || !bytes || !hash || *offset % kBufferAlignment != 0 ||
        *offset > all.size() || *bytes > all.size() - *offset) {
      continue;
    }
    pieces_[{*name, *form}] = {all.subspan(*offset, *bytes), *hash};
  }
}

const std::byte* PackedFile::find(const std::string& name, const std::string& form,
                                  size_t bytes) const {
  const auto found = pieces_.find({name, form});
  if (found == pieces_.end() || found->second.bytes.size() != bytes) return nullptr;
  if (hash_of(found->second.bytes) != found->second.hash) {
    spdlog::warn("{}: the packed weight '{}' is damaged; it is packed anew", path_.string(), name);
    return nullptr;
  }
  return found->second.bytes.data();
}

Status PackedFile::write(const std::vector<PackedPiece>& pieces) const {
  // The offsets stand in the index, whose length they depend on: it is padded to a length that any
  // offsets have.
  constexpr size_t kPieceText = 160;
  json::array list;
  size_t texts = 0;
  for (const PackedPiece& piece : pieces) texts += piece.name.size() + piece.form.size();
  const size_t index_size =
      aligned(kIndexBegin + kPieceText * (pieces.size() + 1) + 2 * texts + 2 * made_by_.size()) -
      kIndexBegin;
  size_t offset = kIndexBegin + index_size;
  for (const PackedPiece& piece : pieces) {
    list.push_back(json::object{{"name", piece.name},
                                {"form", piece.form},
                                {"offset", offset},
                                {"bytes", piece.bytes.size()},
                                {"xxh3", hash_of(piece.bytes)}});
    offset = aligned(offset + piece.bytes.size());
  }
  std::string index = json::serialize(json::object{{"made_by", made_by_}, {"pieces", list}});
  index.resize(index_size, ' ');
  std::string head(kMagic);
  head.append(reinterpret_cast<const char*>(&index_size), sizeof(uint64_t)).append(index);
  static constexpr char kZeros[kBufferAlignment] = {};
  std::vector<std::string_view> parts{head};
  for (const PackedPiece& piece : pieces) {
    const size_t size = piece.bytes.size();
    parts.emplace_back(reinterpret_cast<const char*>(piece.bytes.data()), size);
    parts.emplace_back(kZeros, aligned(size) - size);
  }
  return write_file_atomically(path_, parts);
}

}  // namespace safelight::engine::cpu
