#include "weights/torch_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "weights/messages.h"
#include "weights/torch_globals.h"

namespace safelight::weights {
namespace {

using Kind = Pickle::Kind;
using Id = Pickle::Id;
using Node = Pickle::Node;

constexpr size_t kMaxRank = 8;

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }

/// The items of a tuple or list, or of the call torch.Size(tuple).
const std::vector<Id>* items_of(const Pickle& pickle, Id id) {
  const Node* node = &pickle[id];
  if (node->kind == Kind::kObject && pickle[node->items[0]].text == "Size") {
    const std::vector<Id>& arguments = pickle[node->items[1]].items;
    if (arguments.size() != 1) return nullptr;
    node = &pickle[arguments[0]];
  }
  return node->kind == Kind::kTuple || node->kind == Kind::kList ? &node->items : nullptr;
}

/// Whole numbers from 0 on, at most kMaxRank.
std::optional<std::vector<int64_t>> sizes_of(const Pickle& pickle, Id id) {
  const std::vector<Id>* items = items_of(pickle, id);
  if (items == nullptr || items->size() > kMaxRank) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const Id item : *items) {
    const Node& size = pickle[item];
    if (size.kind != Kind::kInt || size.integer < 0) return std::nullopt;
    sizes.push_back(size.integer);
  }
  return sizes;
}

/// The elements of a shape, counting empty dimensions as one; nothing when they are too many.
std::optional<int64_t> checked_count(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(count, std::max<int64_t>(size, 1), &count)) return std::nullopt;
  }
  return count;
}

bool is_dense(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  int64_t expected = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/// The element after the last one that is used, from the tensor's first; nothing when it overflows.
std::optional<int64_t> span_of(const std::vector<int64_t>& shape,
                               const std::vector<int64_t>& strides) {
  int64_t last = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    int64_t way = 0;
    if (__builtin_mul_overflow(shape[axis] - 1, strides[axis], &way) ||
        __builtin_add_overflow(last, way, &last))
      return std::nullopt;
  }
  return __builtin_add_overflow(last, 1, &last) ? std::nullopt : std::optional(last);
}

}  // namespace

bool is_storage_ref(const Pickle& pickle, Id id) {
  if (pickle[id].kind != Kind::kPersistent) return false;
  const std::vector<Id>* parts = items_of(pickle, pickle[id].items[0]);
  return parts != nullptr && parts->size() >= 5 && pickle[(*parts)[0]].text == "storage";
}

Result<StorageRef> read_storage_ref(const Pickle& pickle, Id id) {
  const auto fault = [] { return corrupt("its pickle names a storage in an unknown form"); };
  if (!is_storage_ref(pickle, id)) return fault();
  const std::vector<Id>* parts = items_of(pickle, pickle[id].items[0]);
  const Node &type = pickle[(*parts)[1]], &key = pickle[(*parts)[2]], &size = pickle[(*parts)[4]];
  if (type.kind != Kind::kGlobal || key.kind != Kind::kText || size.kind != Kind::kInt ||
      size.integer < 0)
    return fault();
  const auto dtype = storage_dtype(type.module, type.text);
  if (!dtype) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("it has tensors of {}.{}, which are not read", printable(type.module),
                             printable(type.text))};
  }
  StorageRef ref{.key = key.text, .dtype = *dtype, .elements = static_cast<uint64_t>(size.integer)};
  // Before torch 1.0, storages could be views: (key, first element, size).
  if (parts->size() > 5 && pickle[(*parts)[5]].kind == Kind::kTuple) {
    const std::vector<Id>& view = pickle[(*parts)[5]].items;
    if (view.size() != 3 || pickle[view[1]].kind != Kind::kInt || pickle[view[1]].integer < 0)
      return fault();
    ref.first = static_cast<uint64_t>(pickle[view[1]].integer);
  }
  return ref;
}

std::optional<TorchTensors::Rebuild> TorchTensors::rebuild_of(Id id) const {
  // A parameter holds a tensor, and a tensor of an own class says how its tensor is made.
  constexpr int kMaxWraps = 4;
  const Node* node = &pickle_[id];
  for (int wraps = 0; wraps < kMaxWraps && node->kind == Kind::kObject; ++wraps) {
    const Node &callable = pickle_[node->items[0]], &arguments = pickle_[node->items[1]];
    if (callable.module == "torch._utils" && callable.text.starts_with("_rebuild_tensor"))
      return Rebuild{callable.text, node->items[1]};
    if (arguments.items.empty()) return std::nullopt;
    if (callable.text == "_rebuild_from_type_v2" && arguments.items.size() >= 3) {
      const Node& function = pickle_[arguments.items[0]];
      if (function.module == "torch._utils" && function.text.starts_with("_rebuild_tensor"))
        return Rebuild{function.text, arguments.items[2]};
      return std::nullopt;
    }
    if (!callable.text.starts_with("_rebuild_parameter") && callable.text != "Parameter")
      return std::nullopt;
    node = &pickle_[arguments.items[0]];
  }
  return std::nullopt;
}

Result<TensorView> TorchTensors::read(Id id) {
  const Rebuild rebuild = *rebuild_of(id);
  const std::vector<Id>* parts = items_of(pickle_, rebuild.arguments);
  if (parts == nullptr || parts->size() < 4 || pickle_[(*parts)[1]].kind != Kind::kInt)
    return corrupt("is made in an unknown form");
  Result<StorageRef> ref = read_storage_ref(pickle_, (*parts)[0]);
  if (!ref) return ref.error();
  const int64_t first = pickle_[(*parts)[1]].integer;
  const auto shape = sizes_of(pickle_, (*parts)[2]);
  auto strides = sizes_of(pickle_, (*parts)[3]);
  if (!shape || !strides || shape->size() != strides->size() || first < 0)
    return corrupt("has no shape with strides of whole numbers");
  for (size_t axis = 0; axis < shape->size(); ++axis) {
    if ((*shape)[axis] == 1) (*strides)[axis] = 0;  // Never walked, and may be anything.
  }
  if (rebuild.function == "_rebuild_tensor_v3") {
    const Node& type = pickle_[parts->size() > 6 ? (*parts)[6] : 0];
    const auto dtype = torch_dtype(type.module, type.text);
    if (!dtype || ref->dtype != graph::DType::kU8 || ref->first != 0) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("is of type {}.{}, which is not read", printable(type.module),
                               printable(type.text))};
    }
    ref->dtype = *dtype;
  }
  const auto storage = storages_.find(ref->key);
  if (storage == storages_.end())
    return corrupt(fmt::format("is in storage '{}', which the file lacks", printable(ref->key)));

  const uint64_t element = graph::dtype_size(ref->dtype);
  const uint64_t stored = storage->second.size() / element;
  const auto count = checked_count(*shape), span = span_of(*shape, *strides);
  const bool empty = std::find(shape->begin(), shape->end(), 0) != shape->end();
  uint64_t begin = 0;
  const bool fits = count && span && !__builtin_add_overflow(ref->first, first, &begin) &&
                    begin <= stored && (empty || static_cast<uint64_t>(*span) <= stored - begin);
  if (!fits) {
    return corrupt(
        fmt::format("of shape {} goes past the {} elements of its storage '{}': the file "
                    "is cut short or damaged",
                    shape_text(*shape), stored, printable(ref->key)));
  }
  TensorView view{
      .dtype = ref->dtype, .shape = *shape, .data = {}, .owner = owner_, .mapping = mapping_};
  if (empty) return view;
  view.data = storage->second.subspan(begin * element, static_cast<uint64_t>(*span) * element);
  return is_dense(*shape, *strides) ? view : gather(view, *strides);
}

/// A dense copy of the elements that `strides` pick from the tensor's data.
Result<TensorView> TorchTensors::gather(const TensorView& tensor,
                                        const std::vector<int64_t>& strides) {
  const size_t element = graph::dtype_size(tensor.dtype);
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(tensor.count()), element, &bytes) ||
      bytes > copy_limit_) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("of shape {} repeats more elements than the file has bytes",
                             shape_text(tensor.shape))};
  }
  copy_limit_ -= bytes;
  auto copy = std::make_shared<std::vector<std::byte>>(bytes);
  std::vector<int64_t> index(tensor.shape.size(), 0);
  int64_t from = 0;
  for (uint64_t to = 0; to < bytes; to += element) {
    std::memcpy(copy->data() + to, tensor.data.data() + static_cast<size_t>(from) * element,
                element);
    for (size_t axis = index.size(); axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < tensor.shape[axis]) break;
      from -= strides[axis] * tensor.shape[axis];
      index[axis] = 0;
    }
  }
  return TensorView{.dtype = tensor.dtype, .shape = tensor.shape, .data = *copy, .owner = copy};
}

}  // namespace safelight::weights
