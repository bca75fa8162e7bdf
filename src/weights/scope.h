#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "weights/tensor_index.h"

namespace safelight::weights {

/// The tensors of an index whose names begin with a prefix, seen without it. Borrows the index.
class Scope {
 public:
  explicit Scope(const TensorIndex& index, std::string prefix = "")
      : index_(index), prefix_(std::move(prefix)) {}

  /// The tensor `prefix + rest`, or null.
  const TensorView* find(std::string_view rest) const {
    return index_.find(prefix_ + std::string(rest));
  }

  /// Whether some name begins with `prefix + start`.
  bool has_under(std::string_view start = "") const {
    const std::string wanted = prefix_ + std::string(start);
    const auto at =
        std::lower_bound(index_.begin(), index_.end(), wanted,
                         [](const auto& entry, const auto& w) { return entry.first < w; });
    return at != index_.end() && at->first.starts_with(wanted);
  }

  /// The first tensor in name order that ends in `suffix`, or null.
  const TensorView* first_ending(std::string_view suffix) const {
    for (const auto& [name, tensor] : index_) {
      if (name.starts_with(prefix_) && name.ends_with(suffix)) return &tensor;
    }
    return nullptr;
  }

 private:
  const TensorIndex& index_;
  std::string prefix_;
};

/// The size of dimension `axis`, or -1 for no tensor or a smaller rank.
inline int64_t dimension(const TensorView* tensor, size_t axis) {
  return tensor != nullptr && axis < tensor->shape.size() ? tensor->shape[axis] : -1;
}

}  // namespace safelight::weights
