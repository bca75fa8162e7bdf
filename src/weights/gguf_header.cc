#include "weights/gguf_header.h"

#include <algorithm>
#include <map>

#include "weights/gguf_format.h"

namespace safelight::weights {
namespace {

using graph::DType;

constexpr uint32_t kQuantizationVersion = 2;

/// enum llama_ftype of files that are mostly of one type.
constexpr std::pair<DType, uint32_t> kFileTypes[] = {
    {DType::kF32, 0},  {DType::kF16, 1},  {DType::kQ4_0, 2}, {DType::kQ4_1, 3}, {DType::kQ8_0, 7},
    {DType::kQ5_0, 8}, {DType::kQ5_1, 9}, {DType::kQ2K, 10}, {DType::kQ6K, 18}, {DType::kBF16, 32}};

class Out {
 public:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number<uint64_t>(value.size());
    bytes_ += value;
  }
  void key(std::string_view name, GgufValue kind) {
    ++pairs_;
    text(name);
    number(static_cast<uint32_t>(kind));
  }

  uint64_t pairs() const { return pairs_; }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_;
  uint64_t pairs_ = 0;
};

std::optional<uint32_t> file_type(const std::vector<StoredTensor>& tensors) {
  std::map<DType, uint64_t> bytes;
  for (const StoredTensor& tensor : tensors) bytes[tensor.dtype] += tensor.bytes();
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == bytes.end()) return std::nullopt;
  for (const auto& [type, number] : kFileTypes) {
    if (type == most->first) return number;
  }
  return std::nullopt;
}

bool is_own_key(std::string_view key) {
  return key == kGgufArchitectureKey || key == kGgufFileTypeKey || key == kGgufAlignmentKey ||
         key == kGgufQuantizationKey || key.starts_with(kGgufShapePrefix);
}

/// The shape in which a tensor is stored.
std::vector<int64_t> stored_shape(const StoredTensor& tensor) {
  const auto block = static_cast<int64_t>(graph::dtype_block(tensor.dtype));
  if (block == 1) return tensor.shape;
  if (tensor.shape.back() % block == 0) return tensor.shape;
  return {Tensor::count(tensor.shape) / block, block};
}

void write_notes(Out& out, const std::vector<StoredTensor>& tensors,
                 const TensorIndex::Metadata& metadata, std::string_view architecture) {
  out.key(kGgufArchitectureKey, GgufValue::kText);
  out.text(architecture);
  out.key(kGgufQuantizationKey, GgufValue::kU32);
  out.number(kQuantizationVersion);
  if (const auto type = file_type(tensors)) {
    out.key(kGgufFileTypeKey, GgufValue::kU32);
    out.number(*type);
  }
  for (const auto& [key, text] : metadata) {
    if (is_own_key(key)) continue;
    out.key(key, GgufValue::kText);
    out.text(text);
  }
  for (const StoredTensor& tensor : tensors) {
    if (stored_shape(tensor) == tensor.shape) continue;
    out.key(std::string(kGgufShapePrefix).append(tensor.name), GgufValue::kArray);
    out.number(static_cast<uint32_t>(GgufValue::kI32));
    out.number<uint64_t>(tensor.shape.size());
    for (const int64_t size : tensor.shape) out.number(static_cast<int32_t>(size));
  }
}

}  // namespace

uint64_t gguf_padding(uint64_t bytes) {
  return (kGgufAlignment - bytes % kGgufAlignment) % kGgufAlignment;
}

std::string gguf_header(const std::vector<StoredTensor>& tensors,
                        const TensorIndex::Metadata& metadata, std::string_view architecture) {
  Out notes;
  write_notes(notes, tensors, metadata, architecture);
  Out out;
  out.bytes() += kGgufMagic;
  out.number(kGgufVersion);
  out.number<uint64_t>(tensors.size());
  out.number(notes.pairs());
  out.bytes() += notes.bytes();
  uint64_t offset = 0;
  for (const StoredTensor& tensor : tensors) {
    const std::vector<int64_t> shape = stored_shape(tensor);
    out.text(tensor.name);
    out.number(static_cast<uint32_t>(shape.size()));
    for (auto size = shape.rbegin(); size != shape.rend(); ++size) out.number(*size);
    out.number(*gguf_type_of(tensor.dtype));
    out.number(offset);
    offset += tensor.bytes() + gguf_padding(tensor.bytes());
  }
  out.bytes().append(gguf_padding(out.bytes().size()), '\0');
  return std::move(out.bytes());
}

}  // namespace safelight::weights
