#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// A weight that a model needs: its name in the family's reference checkpoint and its shape.
struct Param {
  std::string name;
  std::vector<int64_t> shape;
};

/// The weights of a model by their Param names, shapes checked. Keeps the files mapped.
class BoundWeights {
 public:
  /// The weight of that name; asking for one that was not bound is a bug and throws
  /// std::out_of_range.
  const TensorView& at(const std::string& name) const { return tensors_.at(name); }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  size_t size() const { return tensors_.size(); }
  std::vector<std::string> names() const;
  uint64_t bytes() const;

  /// What tells these weights from all others, for caches: the file's hash and the network's name;
  /// empty when not known.
  std::string identity;

  void insert(std::string name, TensorView tensor) {
    tensors_.insert_or_assign(std::move(name), std::move(tensor));
  }

 private:
  std::map<std::string, TensorView> tensors_;
};

/// Where a file has a param: a whole tensor, or one of equal parts of its first dimension (OpenCLIP
/// keeps the projections to queries, keys and values in one), or a matrix kept the other way round.
struct TensorPlace {
  std::string name;
  int64_t part = 0, parts = 1;
  bool transposed = false;

  TensorPlace(std::string tensor)  // NOLINT(google-explicit-constructor): mostly a name is all
      : name(std::move(tensor)) {}
  TensorPlace(std::string tensor, int64_t of_part, int64_t of_parts)
      : name(std::move(tensor)), part(of_part), parts(of_parts) {}
};

/// Tells where the file has the param.
using NameInFile = std::function<TensorPlace(const std::string& param_name)>;

/// Finds each param in `index`. Parts of a tensor stay views of the file, in its own type. A weight
/// may have further dimensions of 1 behind or before those of the param (a linear layer stored as a
/// 1x1 convolution and the other way round); it is bound in the param's shape. `what` names the
/// network in messages ("an SD 1.x UNet"). Errors: kCorruptFile for a missing tensor, another
/// shape, a type that is not floating, NaN or infinite values.
Result<BoundWeights> bind(const std::vector<Param>& params, const TensorIndex& index,
                          const NameInFile& name_in_file, const std::string& what);

}  // namespace safelight::weights
