#pragma once

#include "engine/cpu/kernels/winograd.h"

namespace safelight::engine::cpu {

constexpr int64_t kWinogradOut = 4;      ///< pixels of a tile of the result, each way
constexpr int64_t kWinogradIn = 6;       ///< pixels that a tile is computed from, each way
constexpr int64_t kWinogradPoints = 36;  ///< products that a tile becomes
constexpr int64_t kWinogradPanel = 32;   ///< output channels handled at a time
constexpr int64_t kWinogradDepth = 64;   ///< input channels handled at a time

/// Blocks of kWinogradDepth that a register tile goes through at a time, by tiles.
constexpr int64_t kDepthBlocks = 2;

/// Floats from one point's matrix to the next. An odd number of cache lines, so that the 36 streams
/// of a transformation do not meet in the same sets of the caches.
constexpr int64_t winograd_point_stride(int64_t rows, int64_t columns) {
  return rows * columns + 16 + (rows * columns / 16 % 2) * 16;
}

/// How one call is cut. Three steps: inputs V = B^T d B of each tile, weights U = G g G^T, and for
/// each of the 36 points the matrix product M = V U [tiles, out]; then results A^T M A.
///
/// By filters: V is computed for a group of tiles; then each task transforms the weights of one
/// panel of output channels, block by block in the L2 cache, and multiplies them with a chunk of
/// the group's tiles. For few tiles and many channels.
/// By tiles: U is computed for the whole layer; then each task transforms a chunk of tiles and
/// multiplies it with all of U. For many tiles and few channels.
struct WinogradPlan {
  bool by_tiles = false;
  int64_t rows = 0, columns = 0;  ///< of tiles, in an image
  int64_t tiles = 0;              ///< of all images
  int64_t group = 0;              ///< tiles whose V is held at a time
  int64_t chunk = 0;              ///< tiles of a task
  int64_t depth_blocks = 0, panels = 0;

  /// Scratch, in floats: a row of zeros, what all threads share, and what each has of its own.
  int64_t zeros = 0, inputs = 0, weights = 0, weights_block = 0, products = 0;
  int64_t own() const;
  int64_t shared() const;
};

WinogradPlan plan_winograd(const Winograd& args, int threads);

/// One call and where its memory lies.
struct WinogradCall {
  const Winograd& args;
  WinogradPlan plan;
  float* zeros;    ///< [in_channels]
  float* inputs;   ///< V of a group, by filters
  float* weights;  ///< U of the layer, by tiles; or those kept transformed
  float* own;      ///< of the thread
};

/// Transformed inputs V: [depth blocks][points][rows][kWinogradDepth].
struct InputBlock {
  float* data;
  int64_t rows;

  int64_t point_stride() const { return winograd_point_stride(rows, kWinogradDepth); }
  float* at(int64_t block, int64_t point, int64_t row) const {
    return data + (block * kWinogradPoints + point) * point_stride() + row * kWinogradDepth;
  }
};

}  // namespace safelight::engine::cpu
