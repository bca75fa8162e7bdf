#include "weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/json.h"
#include "weights/foreign_format.h"
#include "weights/messages.h"

namespace safelight::weights {
namespace {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little,
              "views show the file's bytes as they are");

constexpr size_t kLengthSize = 8;
constexpr uint64_t kMaxHeaderSize = 100'000'000;        // As in the reference implementation.
constexpr std::ptrdiff_t kMaxHeaderCommas = 2'000'000;  // Room for 200,000 tensors.
constexpr size_t kMaxRank = 8;
constexpr size_t kMaxJsonDepth = 4;  // The format needs three.
constexpr std::string_view kMetadataKey = "__metadata__";

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }

Error bad_tensor(std::string_view tensor, std::string_view what) {
  return corrupt(fmt::format("tensor '{}' {}", printable(tensor), what));
}

/// A tensor's bytes within the data that follow the header.
struct Extent {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string_view name;
};

/// A whole number from 0 to 2^63 - 1, or nothing.
std::optional<int64_t> as_size(const json::value& value) {
  if (value.is_int64() && value.get_int64() >= 0) return value.get_int64();
  return std::nullopt;  // Boost.JSON keeps as uint64 only what does not fit int64.
}

const json::array* array_field(const json::object& entry, std::string_view key) {
  const json::value* field = entry.if_contains(key);
  return field == nullptr ? nullptr : field->if_array();
}

Result<graph::DType> read_dtype(std::string_view tensor, const json::object& entry) {
  const json::value* field = entry.if_contains("dtype");
  const json::string* text = field == nullptr ? nullptr : field->if_string();
  if (text == nullptr) return bad_tensor(tensor, "has no dtype; a text such as \"F16\" is needed");
  const std::string_view name(text->data(), text->size());
  const auto dtype = graph::dtype_from_name(name);
  if (dtype && !graph::is_quantized(*dtype)) return *dtype;
  return Error{
      ErrorCode::kUnsupported,
      fmt::format("tensor '{}' has dtype '{}', which is not supported; F64, F32, F16, BF16, "
                  "F8_E4M3, F8_E5M2, I8 to I64, U8 to U64 and BOOL are",
                  printable(tensor), printable(name, 40))};
}

Result<std::vector<int64_t>> read_shape(std::string_view tensor, const json::object& entry) {
  const json::array* dims = array_field(entry, "shape");
  if (dims == nullptr) return bad_tensor(tensor, "has no shape; a list of sizes is needed");
  if (dims->size() > kMaxRank) {
    return bad_tensor(
        tensor, fmt::format("has {} dimensions; at most {} are supported", dims->size(), kMaxRank));
  }
  std::vector<int64_t> shape;
  for (const json::value& dim : *dims) {
    const auto size = as_size(dim);
    if (!size) {
      return bad_tensor(tensor,
                        fmt::format("has dimension {}; a whole number from 0 to 2^63 - 1 is needed",
                                    printable(json::serialize(dim), 40)));
    }
    shape.push_back(*size);
  }
  return shape;
}

/// Bytes of a dense tensor. Zero dimensions count as one for the check of overflow, so that strides
/// computed from the shape cannot overflow either.
Result<uint64_t> byte_size(std::string_view tensor, graph::DType dtype,
                           const std::vector<int64_t>& shape) {
  auto product = static_cast<int64_t>(graph::dtype_size(dtype));
  bool empty = false;
  for (const int64_t dim : shape) {
    empty = empty || dim == 0;
    if (__builtin_mul_overflow(product, std::max<int64_t>(dim, 1), &product)) {
      return bad_tensor(tensor,
                        fmt::format("has shape {}, more bytes than 2^63 - 1", shape_text(shape)));
    }
  }
  return empty ? 0 : static_cast<uint64_t>(product);
}

Result<Extent> read_extent(std::string_view tensor, const json::object& entry, uint64_t data_size) {
  const json::array* offsets = array_field(entry, "data_offsets");
  const auto begin = offsets != nullptr && offsets->size() == 2 ? as_size(offsets->front())
                                                                : std::optional<int64_t>();
  const auto end = begin ? as_size(offsets->back()) : std::optional<int64_t>();
  if (!end) {
    return bad_tensor(tensor, "has no data_offsets; a list of two whole numbers is needed");
  }
  if (*begin > *end) {
    return bad_tensor(tensor, fmt::format("begins at byte {} after its end at {}", *begin, *end));
  }
  if (static_cast<uint64_t>(*end) > data_size) {
    return bad_tensor(tensor,
                      fmt::format("ends at byte {} of the data, but the file holds just {}: it is "
                                  "cut short; download it again",
                                  *end, data_size));
  }
  return Extent{static_cast<uint64_t>(*begin), static_cast<uint64_t>(*end), tensor};
}

/// One tensor of the header, its bytes checked to lie within the file and to fit its shape.
Result<TensorView> read_entry(std::string_view name, const json::value& value, Bytes data) {
  const json::object* entry = value.if_object();
  if (entry == nullptr) {
    return bad_tensor(name, "is no JSON object with dtype, shape and data_offsets");
  }
  const auto dtype = read_dtype(name, *entry);
  if (!dtype) return dtype.error();
  auto shape = read_shape(name, *entry);
  if (!shape) return shape.error();
  const auto size = byte_size(name, *dtype, *shape);
  if (!size) return size.error();
  const auto extent = read_extent(name, *entry, data.size());
  if (!extent) return extent.error();
  const uint64_t stored = extent->end - extent->begin;
  if (stored != *size) {
    return bad_tensor(name, fmt::format("has {} bytes; {} of shape {} needs {}", stored,
                                        graph::dtype_name(*dtype), shape_text(*shape), *size));
  }
  return TensorView{.dtype = *dtype,
                    .shape = std::move(*shape),
                    .data = data.subspan(extent->begin, stored),
                    .owner = nullptr};
}

/// The format demands that the tensors tile the data: no hole, no overlap, nothing after them.
Status check_tiling(std::vector<Extent> extents, uint64_t data_size) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  std::string_view previous;
  for (const Extent& extent : extents) {
    if (extent.begin < covered) {
      return bad_tensor(
          extent.name,
          fmt::format("overlaps tensor '{}': it begins at byte {}, that one ends at {}",
                      printable(previous), extent.begin, covered));
    }
    if (extent.begin > covered) {
      return bad_tensor(extent.name, fmt::format("begins at byte {} and leaves a hole of {} bytes",
                                                 extent.begin, extent.begin - covered));
    }
    covered = extent.end;
    previous = extent.name;
  }
  if (covered != data_size) {
    return corrupt(
        fmt::format("{} bytes after the last tensor belong to none", data_size - covered));
  }
  return {};
}

Status read_metadata(const json::value& value, TensorIndex::Metadata& metadata) {
  const json::object* entries = value.if_object();
  if (entries == nullptr) return corrupt("__metadata__ is no JSON object of texts");
  for (const auto& [key, text] : *entries) {
    if (!text.is_string()) {
      return corrupt(fmt::format("__metadata__ has a value that is no text, under '{}'",
                                 printable(std::string_view(key.data(), key.size()))));
    }
    metadata.emplace(std::string(key), std::string(text.get_string()));
  }
  return {};
}

/// The length of the JSON header, checked against the file.
Result<size_t> header_length(Bytes file) {
  if (file.empty()) return corrupt("is empty (0 bytes); download it again");
  uint64_t length = std::numeric_limits<uint64_t>::max();
  if (file.size() >= kLengthSize) std::memcpy(&length, file.data(), kLengthSize);
  if (length > kMaxHeaderSize) {
    // No other format's first bytes give a small length, so it is only here that they are looked
    // at.
    if (auto foreign = recognise_foreign_format(file)) return *std::move(foreign);
  }
  if (file.size() < kLengthSize) {
    return corrupt(
        fmt::format("has {} bytes, less than the {} of a header's length: not a "
                    "safetensors file",
                    file.size(), kLengthSize));
  }
  if (length > kMaxHeaderSize) {
    return corrupt(fmt::format("header length {} is more than {}: not a safetensors file", length,
                               kMaxHeaderSize));
  }
  if (length > file.size() - kLengthSize) {
    return corrupt(
        fmt::format("header length {} goes past the end of the file ({} bytes): it is cut "
                    "short; download it again",
                    length, file.size()));
  }
  return static_cast<size_t>(length);
}

Result<json::object> read_header(Bytes header) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  if (text.empty() || text.front() != '{') {
    return corrupt("header is no JSON object: not a safetensors file");
  }
  // Each value takes 20 to 100 bytes once parsed, and all but the first few follow a comma.
  if (const auto commas = std::count(text.begin(), text.end(), ','); commas > kMaxHeaderCommas) {
    return corrupt(
        fmt::format("header has {} commas; at most {} are read: no model has so many "
                    "tensors",
                    commas, kMaxHeaderCommas));
  }
  Result<json::value> parsed = parse_json(text, kMaxJsonDepth);
  if (!parsed) return corrupt("header: " + printable(parsed.error().message, 300));
  return std::move(parsed->get_object());
}

Result<TensorIndex> read_index(Bytes file, std::string_view name,
                               const std::shared_ptr<const void>& owner,
                               const MappedFile* mapping) {
  const Result<size_t> length = header_length(file);
  if (!length) return length.error();
  const Result<json::object> header = read_header(file.subspan(kLengthSize, *length));
  if (!header) return header.error();
  const Bytes data = file.subspan(kLengthSize + *length);
  TensorIndex index;
  std::vector<Extent> extents;
  extents.reserve(header->size());
  for (const auto& [key, value] : *header) {
    const std::string_view tensor(key.data(), key.size());
    if (tensor == kMetadataKey) {
      if (Status read = read_metadata(value, index.metadata); !read) return read.error();
      continue;
    }
    Result<TensorView> view = read_entry(tensor, value, data);
    if (!view) return view.error();
    view->owner = owner;
    view->mapping = mapping;
    const auto begin = static_cast<uint64_t>(view->data.data() - data.data());
    extents.push_back({begin, begin + view->data.size(), tensor});
    if (Status added = index.add(std::string(tensor), *std::move(view), name); !added) {
      return added.error();
    }
  }
  if (Status tiled = check_tiling(std::move(extents), data.size()); !tiled) return tiled.error();
  return index;
}

/// The order of the tensors in a new file: larger elements first, so that each is aligned.
std::vector<TensorIndex::Map::const_pointer> file_order(const TensorIndex::Map& tensors) {
  std::vector<TensorIndex::Map::const_pointer> order;
  order.reserve(tensors.size());
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return graph::dtype_size(a->second.dtype) > graph::dtype_size(b->second.dtype);
  });
  return order;
}

}  // namespace

Result<TensorIndex> parse_safetensors(Bytes file, std::string_view name,
                                      const std::shared_ptr<const void>& owner,
                                      const MappedFile* mapping) {
  Result<TensorIndex> index = read_index(file, name, owner, mapping);
  if (!index) return index.error().in(std::string(name));
  return index;
}

Result<TensorIndex> open_safetensors(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return Error{ErrorCode::kInvalidArgument,
                 path.string() + ": is a folder; a .safetensors file is needed"};
  }
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  return parse_safetensors((*file)->bytes(), path.filename().string(), *file, file->get());
}

Result<std::string> safetensors_header(const std::vector<StoredTensor>& tensors,
                                       const TensorIndex::Metadata& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object& texts = header[kMetadataKey].emplace_object();
    for (const auto& [key, text] : metadata) texts[key] = text;
  }
  uint64_t begin = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name == kMetadataKey) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("no tensor may be named '{}'", kMetadataKey)};
    }
    const uint64_t end = begin + tensor.bytes();
    header[tensor.name] =
        json::object{{"dtype", graph::dtype_name(tensor.dtype)},
                     {"shape", json::array(tensor.shape.begin(), tensor.shape.end())},
                     {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // The data begin aligned to the largest element.
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthSize) + text;
}

Status write_safetensors(const std::filesystem::path& path, const TensorIndex::Map& tensors,
                         const TensorIndex::Metadata& metadata) {
  const auto order = file_order(tensors);
  std::vector<StoredTensor> stored;
  stored.reserve(order.size());
  for (const auto* tensor : order) {
    stored.push_back({tensor->first, tensor->second.dtype, tensor->second.shape});
  }
  const Result<std::string> header = safetensors_header(stored, metadata);
  if (!header) return header.error().in(path.string());
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.error();
  if (Status written = file->write(*header); !written) return written;
  for (const auto* tensor : order) {
    if (Status written = file->write(tensor->second.data); !written) return written;
  }
  return file->commit();
}

}  // namespace safelight::weights
