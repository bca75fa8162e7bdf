#pragma once

#include <algorithm>
#include <array>

#include "kernels_support.h"

namespace safelight::engine::cpu {

/// Sizes of a view and the strides of a random layout: dimensions in any order in memory, gaps
/// between them, broadcast ones where allowed.
struct Layout {
  std::array<int64_t, kMaxRank> sizes{}, strides{};
  int rank = 0;
  int64_t elements = 1;

  StridedView view(Array& array) const { return {array.buffer(), rank, sizes, strides}; }
  int64_t count() const {
    int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= sizes[d];
    return n;
  }
  /// Where element `index` in row-major order of the sizes stands.
  int64_t offset(int64_t index) const {
    int64_t result = 0;
    for (int d = rank - 1; d >= 0; --d) {
      result += index % sizes[d] * strides[d];
      index /= sizes[d];
    }
    return result;
  }
};

/// A layout in memory for a view of these sizes.
inline Layout random_layout(Trial& t, const Layout& sizes, bool broadcast) {
  Layout layout = sizes;
  std::array<int, kMaxRank> order{};
  for (int d = 0; d < layout.rank; ++d) order[d] = d;
  for (int d = layout.rank - 1; d > 0 && t.between(0, 2) == 0; --d) {
    std::swap(order[d], order[t.between(0, d)]);
  }
  int64_t step = t.between(0, 4) == 0 ? t.between(2, 3) : 1;
  for (int i = layout.rank - 1; i >= 0; --i) {
    const int d = order[i];
    const bool repeated = broadcast && t.between(0, 3) == 0;
    layout.strides[d] = repeated ? 0 : step;
    if (!repeated) step *= layout.sizes[d] + (t.between(0, 3) == 0 ? t.between(1, 5) : 0);
  }
  layout.elements = step;
  return layout;
}

/// Sizes of a view without strides.
inline Layout random_sizes(Trial& t) {
  Layout layout;
  layout.rank = static_cast<int>(t.between(0, 5));
  for (int d = 0; d < layout.rank; ++d) layout.sizes[d] = t.between(1, t.chance() ? 4 : 21);
  if (t.between(0, 5) == 0) {  // long runs, shared among threads
    layout.rank = 2;
    layout.sizes = {t.between(1, 3), t.between(2000, 40000)};
  }
  return layout;
}

}  // namespace safelight::engine::cpu
