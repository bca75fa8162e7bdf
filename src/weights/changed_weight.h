#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "weights/tensor_view.h"

namespace safelight::weights {

/// What is done to some rows of a weight (a row is all behind the first dimension).
class WeightChange {
 public:
  virtual ~WeightChange() = default;
  /// Changes rows [first, first + count) in place; any number of threads at a time.
  virtual void apply(int64_t first, int64_t count, std::span<float> rows) const = 0;
};

/// A weight that is computed from the file's when it is needed, and kept nowhere: the original and
/// what is done to it, in that order. In float32.
class ChangedWeight {
 public:
  explicit ChangedWeight(TensorView original) : original_(std::move(original)) {}

  void add(std::shared_ptr<const WeightChange> change) { changes_.push_back(std::move(change)); }

  const std::vector<int64_t>& shape() const { return original_.shape; }
  int64_t rows() const { return shape().empty() ? 1 : shape()[0]; }
  int64_t row_size() const { return original_.count() / rows(); }

  /// Rows [first, first + count): out.size() is count * row_size(). Any number of threads.
  void read(int64_t first, int64_t count, std::span<float> out) const;
  /// All of it.
  Tensor whole() const;
  /// Gives the original's pages back, after a pass over the rows.
  void release_pages() const { original_.release_pages(); }

 private:
  TensorView original_;
  std::vector<std::shared_ptr<const WeightChange>> changes_;
};

/// The weights of a network that are not the file's, by their Param names.
using ChangedWeights = std::map<std::string, std::shared_ptr<const ChangedWeight>>;

}  // namespace safelight::weights
