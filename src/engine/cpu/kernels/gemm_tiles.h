#pragma once

#include <cstdint>

namespace safelight::engine::cpu {

/// How a product is cut (see gemm.cc). A task is a block of rows times a block of columns.
struct GemmTiles {
  static constexpr int64_t kDepth = 160;  ///< summed in registers at a time
  static constexpr int64_t kRows = 120;   ///< rows of x held at a time; whole register tiles
  static constexpr int64_t kPanel = 32;   ///< what column blocks are multiples of
  static constexpr int64_t kFewRows = 4;  ///< up to so many rows are scalar products instead

  int64_t row_block = 0, column_block = 0;
  int64_t row_blocks = 0, column_blocks = 0;

  int64_t tasks() const { return row_blocks * column_blocks; }
  /// Distance of the rows of sums: not a multiple of a page for any number of columns.
  int64_t sum_stride() const { return column_block + 16; }
  /// Of one thread: panels of the weight, rows of x, sums.
  int64_t scratch_floats() const {
    return kDepth * (column_block + kRows) + row_block * sum_stride();
  }
};

/// The cut that should take the least time: even work for the threads, and blocks large enough that
/// widening weights and copying rows does not count.
GemmTiles gemm_tiles(int64_t rows, int64_t columns, int threads);

}  // namespace safelight::engine::cpu
