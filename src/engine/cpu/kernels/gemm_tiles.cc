#include "engine/cpu/kernels/gemm_tiles.h"

#include <algorithm>
#include <limits>

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kMaxRowBlock = 1080, kMaxColumnBlock = 320;  // sums of at most 1.4 MB
constexpr int64_t kRowStep = 24;                               // whole tiles of every target

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t rounded_up(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

GemmTiles cut(int64_t rows, int64_t columns, int64_t row_blocks, int64_t column_block) {
  GemmTiles tiles;
  tiles.row_block = rounded_up(ceil_div(rows, row_blocks), kRowStep);
  tiles.column_block = column_block;
  tiles.row_blocks = ceil_div(rows, tiles.row_block);
  tiles.column_blocks = ceil_div(columns, column_block);
  return tiles;
}

/// Time of the busiest thread, in multiplications: widening a weight costs as much as about six,
/// copying an element of x as two.
int64_t cost(const GemmTiles& tiles, int threads) {
  constexpr int64_t kWiden = 6, kCopy = 2;
  const int64_t rows = tiles.row_block, columns = tiles.column_block;
  return ceil_div(tiles.tasks(), threads) * (rows * columns + kWiden * columns + kCopy * rows);
}

}  // namespace

GemmTiles gemm_tiles(int64_t rows, int64_t columns, int threads) {
  GemmTiles best;
  int64_t least = std::numeric_limits<int64_t>::max();
  const int64_t fewest = ceil_div(std::max<int64_t>(rows, 1), kMaxRowBlock);
  const int64_t widest = std::min(kMaxColumnBlock, rounded_up(columns, GemmTiles::kPanel));
  for (int64_t width = widest; width > 0; width -= GemmTiles::kPanel) {
    for (int64_t blocks = fewest; blocks <= fewest + threads; ++blocks) {
      const GemmTiles tiles = cut(rows, columns, blocks, width);
      if (const int64_t time = cost(tiles, threads); time < least) {
        least = time;
        best = tiles;
      }
    }
  }
  return best;
}

}  // namespace safelight::engine::cpu
