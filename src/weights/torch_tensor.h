#pragma once

#include <map>
#include <memory>
#include <string_view>

#include "weights/pickle.h"
#include "weights/tensor_view.h"

namespace safelight::weights {

/// The bytes of storages by their keys.
using TorchStorages = std::map<std::string_view, Bytes>;

/// A storage as a persistent identity of a pickle names it.
struct StorageRef {
  std::string_view key;
  graph::DType dtype = graph::DType::kU8;
  uint64_t first = 0;     ///< element of the whole storage where a view of it begins
  uint64_t elements = 0;  ///< of the whole storage
};

/// Whether node `id` names a storage.
bool is_storage_ref(const Pickle& pickle, Pickle::Id id);

/// The storage that node `id` names. Errors: kCorruptFile, kUnsupported.
Result<StorageRef> read_storage_ref(const Pickle& pickle, Pickle::Id id);

/// Makes tensors of the nodes of a pickle.
class TorchTensors {
 public:
  /// Copies of tensors that are not dense may take `copy_limit` bytes together.
  TorchTensors(const Pickle& pickle, const TorchStorages& storages, uint64_t copy_limit,
               std::shared_ptr<const void> owner, const MappedFile* mapping)
      : pickle_(pickle),
        storages_(storages),
        copy_limit_(copy_limit),
        owner_(std::move(owner)),
        mapping_(mapping) {}

  /// Whether the node is a tensor or a parameter.
  bool is_tensor(Pickle::Id id) const { return rebuild_of(id).has_value(); }

  /// The tensor that is_tensor. Errors: kCorruptFile, kUnsupported.
  Result<TensorView> read(Pickle::Id id);

 private:
  /// A call of one of torch's functions that make tensors.
  struct Rebuild {
    std::string_view function;
    Pickle::Id arguments = 0;
  };
  std::optional<Rebuild> rebuild_of(Pickle::Id id) const;
  Result<TensorView> gather(const TensorView& tensor, const std::vector<int64_t>& strides);

  const Pickle& pickle_;
  const TorchStorages& storages_;
  uint64_t copy_limit_;
  std::shared_ptr<const void> owner_;
  const MappedFile* mapping_;
};

}  // namespace safelight::weights
