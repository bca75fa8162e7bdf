#pragma once

#include <algorithm>
#include <cstdint>

namespace safelight::pipelines {

/// Rows cut in bands of equal height that overlap. Of each band, only what is at least `reach` away
/// from its ends is used, but for the ends of the whole.
struct Bands {
  int64_t rows = 0, height = 0, count = 1;

  /// Bands of which about `useful` rows are used.
  static Bands cut(int64_t rows, int64_t useful, int64_t reach) {
    const int64_t height = useful + 2 * reach;
    if (height >= rows) return {rows, rows, 1};
    return {rows, height, (rows - 2 * reach + useful - 1) / useful};
  }

  /// Where band i begins.
  int64_t origin(int64_t i) const { return count == 1 ? 0 : i * (rows - height) / (count - 1); }
  /// Where the part that band i is used for begins, which ends where that of i + 1 begins.
  int64_t begin(int64_t i) const {
    if (i == 0) return 0;
    return i == count ? rows : (origin(i - 1) + height + origin(i)) / 2;
  }
};

}  // namespace safelight::pipelines
