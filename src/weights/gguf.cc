#include "weights/gguf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weights/byte_reader.h"
#include "weights/gguf_format.h"
#include "weights/messages.h"

namespace safelight::weights {
namespace {

constexpr uint64_t kMaxPairs = 100'000, kMaxTensors = 200'000;
constexpr uint64_t kMaxKey = 65'535;      // as the format says
constexpr uint64_t kMaxText = 1'000'000;  // of metadata that is kept
constexpr uint64_t kMaxListed = 16;       // elements of a list that is kept
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr size_t kMaxRank = 8;
constexpr int kMaxDepth = 4;  // of lists in lists

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }
Error cut_short() { return corrupt("is cut short within its header; download it again"); }

/// The bytes of one value of a kind with a fixed size; 0 for texts and lists.
uint64_t size_of(GgufValue kind) {
  switch (kind) {
    case GgufValue::kU8:
    case GgufValue::kI8:
    case GgufValue::kBool:
      return 1;
    case GgufValue::kU16:
    case GgufValue::kI16:
      return 2;
    case GgufValue::kU32:
    case GgufValue::kI32:
    case GgufValue::kF32:
      return 4;
    case GgufValue::kU64:
    case GgufValue::kI64:
    case GgufValue::kF64:
      return 8;
    default:
      return 0;
  }
}

/// A number as text; the bytes are there.
std::string number_text(ByteReader& in, GgufValue kind) {
  const auto text = [](auto value) { return fmt::format("{}", *value); };
  switch (kind) {
    case GgufValue::kU8:
      return text(in.number<uint8_t>());
    case GgufValue::kI8:
      return fmt::format("{}", int{*in.number<int8_t>()});
    case GgufValue::kBool:
      return *in.number<uint8_t>() != 0 ? "true" : "false";
    case GgufValue::kU16:
      return text(in.number<uint16_t>());
    case GgufValue::kI16:
      return text(in.number<int16_t>());
    case GgufValue::kU32:
      return text(in.number<uint32_t>());
    case GgufValue::kI32:
      return text(in.number<int32_t>());
    case GgufValue::kF32:
      return text(in.number<float>());
    case GgufValue::kU64:
      return text(in.number<uint64_t>());
    case GgufValue::kI64:
      return text(in.number<int64_t>());
    default:
      return text(in.number<double>());
  }
}

/// What the header tells.
struct Header {
  TensorIndex::Metadata metadata;
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes;  ///< of kGgufShapePrefix
  uint64_t alignment = kGgufAlignment;
};

struct TensorEntry {
  std::string name;
  graph::DType dtype = graph::DType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;
};

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file), in_(file) {}

  Result<TensorIndex> read(std::string_view name, const std::shared_ptr<const void>& owner,
                           const MappedFile* mapping);

 private:
  Status read_start();
  Status read_pair();
  Result<std::string_view> read_text(uint64_t limit);
  Status skip_list(int depth);
  Status read_list(const std::string& key);
  Status keep_number(const std::string& key, GgufValue kind);
  Result<TensorEntry> read_entry();
  Result<TensorView> find_data(TensorEntry& entry, Bytes data) const;

  Bytes file_;
  ByteReader in_;
  uint64_t pairs_ = 0, tensors_ = 0;
  Header header_;
};

Status Reader::read_start() {
  in_.take(kGgufMagic.size());
  const auto version = in_.number<uint32_t>();
  if (!version) return cut_short();
  if (*version == 0 || *version > 0xFFFF) {
    return Error{ErrorCode::kUnsupported,
                 "is a GGUF file of a big-endian machine; convert it on such a machine"};
  }
  if (*version == 1 || *version > kGgufVersion) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("is GGUF of version {}; 2 and 3 are read. Convert it with a newer "
                             "program",
                             *version)};
  }
  const auto tensors = in_.number<uint64_t>(), pairs = in_.number<uint64_t>();
  if (!tensors || !pairs) return cut_short();
  if (*tensors > kMaxTensors || *pairs > kMaxPairs) {
    return corrupt(fmt::format("says that it has {} tensors and {} notes; no model has so many",
                               *tensors, *pairs));
  }
  tensors_ = *tensors;
  pairs_ = *pairs;
  return {};
}

Result<std::string_view> Reader::read_text(uint64_t limit) {
  const auto size = in_.number<uint64_t>();
  if (size && *size > limit && *size <= in_.rest())
    return corrupt(fmt::format("has a name of {} bytes", *size));
  const auto text = size ? in_.text(*size) : std::nullopt;
  if (!text) return cut_short();
  return *text;
}

Status Reader::skip_list(int depth) {
  const auto kind = in_.number<uint32_t>();
  const auto count = in_.number<uint64_t>();
  if (!kind || !count) return cut_short();
  if (*kind > static_cast<uint32_t>(GgufValue::kF64) || depth > kMaxDepth)
    return corrupt(fmt::format("has a list of an unknown kind ({})", *kind));
  if (const uint64_t size = size_of(GgufValue{*kind}); size > 0) {
    if (*count > in_.rest() / size || !in_.take(*count * size)) return cut_short();
    return {};
  }
  for (uint64_t i = 0; i < *count; ++i) {
    if (GgufValue{*kind} == GgufValue::kArray) {
      if (Status skipped = skip_list(depth + 1); !skipped) return skipped;
    } else if (const auto text = read_text(file_.size()); !text) {
      return text.error();
    }
  }
  return {};
}

Status Reader::keep_number(const std::string& key, GgufValue kind) {
  if (in_.rest() < size_of(kind)) return cut_short();
  const std::string text = number_text(in_, kind);
  if (key == kGgufAlignmentKey) {
    const uint64_t value = std::strtoull(text.c_str(), nullptr, 10);
    if (value == 0 || value > kMaxAlignment || (value & (value - 1)) != 0)
      return corrupt(fmt::format("aligns its tensors to {} bytes; a power of two is needed", text));
    header_.alignment = value;
  }
  header_.metadata.emplace(key, text);
  return {};
}

/// A list is kept when it is short and of numbers.
Status Reader::read_list(const std::string& key) {
  ByteReader ahead = in_;
  if (Status skipped = skip_list(0); !skipped) return skipped;
  const GgufValue kind{*ahead.number<uint32_t>()};
  const uint64_t count = *ahead.number<uint64_t>();
  if (size_of(kind) == 0 || count > kMaxListed) return {};
  std::vector<std::string> elements;
  for (uint64_t i = 0; i < count; ++i) elements.push_back(number_text(ahead, kind));
  if (!key.starts_with(kGgufShapePrefix)) {
    header_.metadata.emplace(key, fmt::format("[{}]", fmt::join(elements, ", ")));
    return {};
  }
  std::vector<int64_t>& shape = header_.shapes[key.substr(kGgufShapePrefix.size())];
  for (const std::string& element : elements) {
    shape.push_back(std::strtoll(element.c_str(), nullptr, 10));
  }
  return {};
}

Status Reader::read_pair() {
  const auto key_text = read_text(kMaxKey);
  if (!key_text) return key_text.error();
  const std::string key(*key_text);
  const auto kind = in_.number<uint32_t>();
  if (!kind) return cut_short();
  if (*kind > static_cast<uint32_t>(GgufValue::kF64))
    return corrupt(fmt::format("note '{}' is of an unknown kind ({})", printable(key), *kind));
  if (header_.metadata.contains(key))
    return corrupt(fmt::format("has the note '{}' twice", printable(key)));
  if (GgufValue{*kind} == GgufValue::kArray) return read_list(key);
  if (GgufValue{*kind} != GgufValue::kText) return keep_number(key, GgufValue{*kind});
  const auto text = read_text(file_.size());
  if (!text) return text.error();
  if (text->size() <= kMaxText) header_.metadata.emplace(key, *text);
  return {};
}

Result<TensorEntry> Reader::read_entry() {
  const auto name = read_text(kMaxKey);
  if (!name) return name.error();
  TensorEntry entry{.name = std::string(*name), .shape = {}};
  const auto fault = [&](std::string_view what) {
    return corrupt(fmt::format("tensor '{}' {}", printable(entry.name), what));
  };
  const auto rank = in_.number<uint32_t>();
  if (!rank) return cut_short();
  if (*rank > kMaxRank)
    return fault(fmt::format("has {} dimensions; at most {} are supported", *rank, kMaxRank));
  int64_t count = 1;
  for (uint32_t axis = 0; axis < *rank; ++axis) {
    const auto size = in_.number<int64_t>();
    if (!size) return cut_short();
    if (*size < 0 || __builtin_mul_overflow(count, std::max<int64_t>(*size, 1), &count))
      return fault("has more elements than 2^63 - 1");
    entry.shape.push_back(*size);
  }
  const auto type = in_.number<uint32_t>();
  const auto offset = in_.number<uint64_t>();
  if (!type || !offset) return cut_short();
  const auto dtype = dtype_of_gguf(*type);
  if (!dtype) {
    const std::string_view known = foreign_gguf_type(*type);
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("tensor '{}' is of type {}, which is not read; F16, BF16, Q8_0, Q4_0 to "
                    "Q5_1, Q2_K to Q6_K and IQ4 are",
                    printable(entry.name),
                    known.empty() ? fmt::format("{}", *type) : std::string(known))};
  }
  entry.dtype = *dtype;
  const auto row = static_cast<int64_t>(graph::dtype_block(*dtype));
  if (row > 1 && (entry.shape.empty() || entry.shape[0] % row != 0)) {
    return fault(fmt::format("of type {} has rows of {}; a multiple of {} is needed",
                             graph::dtype_name(*dtype), entry.shape.empty() ? 1 : entry.shape[0],
                             row));
  }
  std::reverse(entry.shape.begin(), entry.shape.end());  // The format begins with the rows' length.
  entry.offset = *offset;
  return entry;
}

Result<TensorView> Reader::find_data(TensorEntry& entry, Bytes data) const {
  const auto fault = [&](std::string_view what) {
    return corrupt(fmt::format("tensor '{}' {}", printable(entry.name), what));
  };
  const int64_t count = Tensor::count(entry.shape);
  const uint64_t blocks = static_cast<uint64_t>(count) / graph::dtype_block(entry.dtype);
  const uint64_t size = graph::dtype_size(entry.dtype);
  if (entry.offset > data.size() || blocks > (data.size() - entry.offset) / size) {
    return fault(
        fmt::format("of shape {} at byte {} goes past the end of the file: it is cut short; "
                    "download it again",
                    shape_text(entry.shape), entry.offset));
  }
  if (const auto own = header_.shapes.find(entry.name); own != header_.shapes.end()) {
    int64_t own_count = 1;
    const bool fits = own->second.size() <= kMaxRank &&
                      std::all_of(own->second.begin(), own->second.end(), [&](int64_t n) {
                        return n > 0 && !__builtin_mul_overflow(own_count, n, &own_count);
                      });
    if (!fits || own_count != count) {
      return fault(fmt::format("has {} elements, and by the note on its shape {}", count,
                               shape_text(own->second)));
    }
    entry.shape = own->second;
  }
  return TensorView{.dtype = entry.dtype,
                    .shape = entry.shape,
                    .data = data.subspan(entry.offset, blocks * size),
                    .owner = nullptr};
}

Result<TensorIndex> Reader::read(std::string_view name, const std::shared_ptr<const void>& owner,
                                 const MappedFile* mapping) {
  if (Status started = read_start(); !started) return started.error();
  for (uint64_t i = 0; i < pairs_; ++i) {
    if (Status read = read_pair(); !read) return read.error();
  }
  if (const auto parts = header_.metadata.find("split.count");
      parts != header_.metadata.end() && parts->second != "0" && parts->second != "1") {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("is one of {} parts of a split model; join them with gguf-split --merge",
                    printable(parts->second))};
  }
  std::vector<TensorEntry> entries;
  for (uint64_t i = 0; i < tensors_; ++i) {
    Result<TensorEntry> entry = read_entry();
    if (!entry) return entry.error();
    entries.push_back(*std::move(entry));
  }
  const uint64_t begin = (in_.at() + header_.alignment - 1) / header_.alignment * header_.alignment;
  const Bytes data = begin <= file_.size() ? file_.subspan(begin) : Bytes();
  TensorIndex index;
  index.format = FileFormat::kGguf;
  index.metadata = std::move(header_.metadata);
  for (TensorEntry& entry : entries) {
    Result<TensorView> view = find_data(entry, data);
    if (!view) return view.error();
    view->owner = owner;
    view->mapping = mapping;
    if (Status added = index.add(std::move(entry.name), *std::move(view), name); !added)
      return added.error();
  }
  return index;
}

}  // namespace

bool looks_like_gguf(Bytes file) {
  return file.size() >= kGgufMagic.size() &&
         std::memcmp(file.data(), kGgufMagic.data(), kGgufMagic.size()) == 0;
}

Result<TensorIndex> parse_gguf(Bytes file, std::string_view name,
                               const std::shared_ptr<const void>& owner,
                               const MappedFile* mapping) {
  if (!looks_like_gguf(file)) return corrupt("is no GGUF file").in(std::string(name));
  Result<TensorIndex> index = Reader(file).read(name, owner, mapping);
  if (!index) return index.error().in(std::string(name));
  return index;
}

}  // namespace safelight::weights
