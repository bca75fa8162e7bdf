#include "engine/cpu/kernels/winograd_plan.h"

#include <algorithm>

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kLine = 16;  // floats of a cache line

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t rounded_up(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

/// The size of nearly equal pieces of at most `limit`.
int64_t even_piece(int64_t count, int64_t limit) {
  return std::max<int64_t>(1, ceil_div(count, std::max<int64_t>(1, ceil_div(count, limit))));
}

/// The share of the threads' time that `tasks` equal tasks fill.
double use_of(int64_t tasks, int64_t threads) {
  return static_cast<double>(tasks) / static_cast<double>(rounded_up(tasks, threads));
}

/// A task's tiles share one transformation of the weights (it costs as much as the products of
/// about three tiles), and their inputs should stay in the L3 cache: large chunks, less large where
/// channels are many. Groups of several chunks where one has too few tasks for the threads.
void cut_by_filters(const Winograd& args, int threads, WinogradPlan& plan) {
  constexpr int64_t kInputBytes = 8 << 20, kFewTiles = 32, kManyTiles = 96, kMostChunks = 8;
  const int64_t tile_bytes = kWinogradPoints * args.in_channels * kFloat;
  const int64_t limit = std::clamp(kInputBytes / tile_bytes, kFewTiles, kManyTiles);
  plan.chunk = even_piece(plan.tiles, limit);
  const int64_t most = std::min(kMostChunks, ceil_div(plan.tiles, plan.chunk));
  int64_t chunks = 1;
  while (chunks < most && use_of(chunks * plan.panels, threads) < 0.9) ++chunks;
  plan.group = std::min(plan.tiles, chunks * plan.chunk);
  plan.inputs =
      plan.depth_blocks * kWinogradPoints * winograd_point_stride(plan.group, kWinogradDepth);
  plan.weights_block =
      args.weights.transformed
          ? 0
          : kWinogradPoints * winograd_point_stride(kWinogradDepth, kWinogradPanel);
  plan.products = kWinogradPoints * winograd_point_stride(plan.chunk, kWinogradPanel);
}

/// A task's inputs and products stay in the L2 cache, weights come from the L3 cache.
void cut_by_tiles(const Winograd& args, int threads, WinogradPlan& plan) {
  constexpr int64_t kChunkTiles = 16;
  plan.chunk = even_piece(plan.tiles, kChunkTiles);
  while (plan.chunk > 1 && use_of(ceil_div(plan.tiles, plan.chunk), threads) < 0.7) --plan.chunk;
  plan.group = plan.tiles;
  plan.weights =
      args.weights.transformed
          ? 0
          : static_cast<int64_t>(transformed_winograd_bytes(args.out_channels, args.in_channels)) /
                kFloat;
  plan.inputs =
      plan.depth_blocks * kWinogradPoints * winograd_point_stride(plan.chunk, kWinogradDepth);
  plan.products = plan.panels * kWinogradPoints * winograd_point_stride(plan.chunk, kWinogradPanel);
}

/// By tiles where the whole layer's transformed weights stay in the L3 cache, inputs and products
/// of a chunk in the L2 cache, and the layer's transformation is little beside the products.
bool prefers_tiles(const Winograd& args, const WinogradPlan& plan) {
  constexpr int64_t kChannels = 512, kTiles = 1024;
  return plan.tiles >= kTiles && args.in_channels + args.out_channels <= kChannels;
}

}  // namespace

int64_t WinogradPlan::shared() const { return zeros + weights + (by_tiles ? 0 : inputs); }
int64_t WinogradPlan::own() const { return weights_block + products + (by_tiles ? inputs : 0); }

WinogradPlan plan_winograd(const Winograd& args, int threads) {
  WinogradPlan plan;
  plan.rows = ceil_div(args.out_height(), kWinogradOut);
  plan.columns = ceil_div(args.out_width(), kWinogradOut);
  plan.tiles = args.batch * plan.rows * plan.columns;
  plan.depth_blocks = ceil_div(args.in_channels, kWinogradDepth);
  plan.panels = ceil_div(args.out_channels, kWinogradPanel);
  plan.zeros = rounded_up(args.in_channels, kLine);
  plan.by_tiles = args.order == WinogradOrder::kAutomatic ? prefers_tiles(args, plan)
                                                          : args.order == WinogradOrder::kByTiles;
  if (plan.by_tiles) {
    cut_by_tiles(args, threads, plan);
  } else {
    cut_by_filters(args, threads, plan);
  }
  return plan;
}

size_t winograd_scratch(const Winograd& args, int threads) {
  const WinogradPlan plan = plan_winograd(args, threads);
  return static_cast<size_t>(plan.shared() + threads * plan.own()) * kFloat;
}

}  // namespace safelight::engine::cpu
