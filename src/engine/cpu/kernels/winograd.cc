#include "engine/cpu/kernels/winograd.h"

#include <algorithm>

#include "engine/cpu/kernels/targets.h"
#include "engine/cpu/kernels/winograd_plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/cpu/kernels/winograd.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway demands.
#include "engine/cpu/kernels/winograd_images-inl.h"
#include "engine/cpu/kernels/winograd_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

/// A part of all transformed weights U: [points][depth], a panel wide; a point's matrix is cut in
/// register panels, [panel / register panel][depth][register panel].
struct WeightBlock {
  const float* data;
  int64_t depth;  ///< rows of a register panel
  int64_t point_stride;
};

template <WeightFormat kFormat>
HWY_INLINE V LoadWeights(const std::byte* from, int64_t index) {
  const D d;
  if constexpr (kFormat == WeightFormat::kF32) {
    return hn::LoadU(d, reinterpret_cast<const float*>(from) + index);
  } else if constexpr (kFormat == WeightFormat::kF16) {
    const hn::Rebind<hwy::float16_t, D> half;
    return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from) + index));
  } else {
    return LoadValues<Storage::kBF16>(from, index);
  }
}

/// U of `depth` input channels of a panel from its packed weights [depth][9][panel].
template <WeightFormat kFormat>
void TransformFilters(const std::byte* packed, int64_t depth, float* out, int64_t panel_depth,
                      int64_t point_stride) {
  const D d;
  for (int64_t k = 0; k < depth; ++k) {
    const std::byte* filters =
        packed + k * 9 * kWinogradPanel * static_cast<int64_t>(weight_size(kFormat));
    for (int64_t v = 0; v < kWinogradPanel; v += kLanes) {
      float* to = out + v / kRegisterPanel * kRegisterPanel * panel_depth + k * kRegisterPanel +
                  v % kRegisterPanel;
      TransformFilter([&](int i) { return LoadWeights<kFormat>(filters, i * kWinogradPanel + v); },
                      [&](int point, V u) { hn::Store(u, d, to + point * point_stride); });
    }
  }
}

/// The same for input channels [first, first + depth) of a panel, whatever the format.
void TransformWeights(const WinogradWeights& weights, int64_t in, int64_t panel, int64_t first,
                      int64_t depth, float* out, int64_t panel_depth, int64_t point_stride) {
  const std::byte* packed = weights.packed + (panel * in + first) * 9 * kWinogradPanel *
                                                 static_cast<int64_t>(weight_size(weights.format));
  switch (weights.format) {
    case WeightFormat::kF32:
      return TransformFilters<WeightFormat::kF32>(packed, depth, out, panel_depth, point_stride);
    case WeightFormat::kF16:
      return TransformFilters<WeightFormat::kF16>(packed, depth, out, panel_depth, point_stride);
    case WeightFormat::kBF16:
      return TransformFilters<WeightFormat::kBF16>(packed, depth, out, panel_depth, point_stride);
  }
}

WeightBlock KeptWeights(const WinogradCall& call, int64_t panel) {
  const int64_t stride = winograd_point_stride(call.args.in_channels, kWinogradPanel);
  return {call.weights + panel * kWinogradPoints * stride, call.args.in_channels, stride};
}

/// A panel of filters times `count` tiles of the group, from its tile `row` on.
void FiltersTask(const WinogradCall& call, int64_t panel, int64_t group_first, int64_t group,
                 int64_t row, int64_t count) {
  const Winograd& args = call.args;
  const InputBlock inputs{call.inputs, group};
  float* const block = call.own;
  float* const products = call.own + call.plan.weights_block;
  const int64_t products_stride = winograd_point_stride(count, kWinogradPanel);
  for (int64_t b = 0; b < call.plan.depth_blocks; ++b) {
    const int64_t first = b * kWinogradDepth,
                  depth = std::min(kWinogradDepth, args.in_channels - first);
    WeightBlock weights{block, kWinogradDepth,
                        winograd_point_stride(kWinogradDepth, kWinogradPanel)};
    if (call.weights) {
      weights = KeptWeights(call, panel);
      weights.data += first * kRegisterPanel;
    } else {
      TransformWeights(args.weights, args.in_channels, panel, first, depth, block, weights.depth,
                       weights.point_stride);
    }
    for (int64_t p = 0; p < kWinogradPoints; ++p) {
      MultiplyPoint(inputs.at(b, p, row), 0, count, weights.data + p * weights.point_stride,
                    weights.depth, depth, products + p * products_stride, b > 0);
    }
  }
  WriteTiles(call, panel, group_first + row, count, products, products_stride);
}

/// All filters times a chunk of tiles.
void TilesTask(const WinogradCall& call, int64_t first, int64_t count) {
  const InputBlock inputs{call.own, count};
  float* const products = call.own + call.plan.inputs;
  for (int64_t t = 0; t < count; ++t) TransformInputs(call, first + t, inputs, t);
  const int64_t block_stride = kWinogradPoints * inputs.point_stride();
  const int64_t products_stride = winograd_point_stride(count, kWinogradPanel);
  for (int64_t p = 0; p < kWinogradPoints; ++p) {
    for (int64_t panel = 0; panel < call.plan.panels; ++panel) {
      const WeightBlock weights = KeptWeights(call, panel);
      const float* u = weights.data + p * weights.point_stride;
      float* m = products + (panel * kWinogradPoints + p) * products_stride;
      for (int64_t b = 0; b < call.plan.depth_blocks; b += kDepthBlocks) {
        const int64_t k = b * kWinogradDepth;
        MultiplyPoint(inputs.at(b, p, 0), block_stride, count, u + k * kRegisterPanel,
                      weights.depth,
                      std::min(kDepthBlocks * kWinogradDepth, call.args.in_channels - k), m, b > 0);
      }
    }
  }
  for (int64_t panel = 0; panel < call.plan.panels; ++panel) {
    WriteTiles(call, panel, first, count, products + panel * kWinogradPoints * products_stride,
               products_stride);
  }
}

/// U of kWinogradDepth input channels of a panel, in its place among all.
void WeightsTask(const WinogradWeights& weights, int64_t in, int64_t panel, int64_t first,
                 float* out) {
  const int64_t stride = winograd_point_stride(in, kWinogradPanel);
  TransformWeights(weights, in, panel, first, std::min(kWinogradDepth, in - first),
                   out + panel * kWinogradPoints * stride + first * kRegisterPanel, in, stride);
}

void InputTask(const WinogradCall& call, int64_t group_first, int64_t group, int64_t row) {
  TransformInputs(call, group_first + row, {call.inputs, group}, row);
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <omp.h>

namespace safelight::engine::cpu {

HWY_EXPORT(InputTask);
HWY_EXPORT(WeightsTask);
HWY_EXPORT(FiltersTask);
HWY_EXPORT(TilesTask);

namespace {

bool stopped(const Winograd& args) {
  return args.stop && args.stop->load(std::memory_order_relaxed);
}

/// To be called by every thread of a team.
void transform_all(const WinogradWeights& weights, int64_t in, int64_t out, float* to,
                   const std::atomic<bool>* stop) {
  const int64_t panels = (out + kWinogradPanel - 1) / kWinogradPanel;
  const int64_t blocks = (in + kWinogradDepth - 1) / kWinogradDepth;
#pragma omp for schedule(dynamic, 1)
  for (int64_t task = 0; task < panels * blocks; ++task) {
    if (stop && stop->load(std::memory_order_relaxed)) continue;
    HWY_DYNAMIC_DISPATCH(WeightsTask)
    (weights, in, task / blocks, task % blocks * kWinogradDepth, to);
  }
}

void by_filters(const WinogradCall& call) {
  const WinogradPlan& plan = call.plan;
  for (int64_t first = 0; first < plan.tiles; first += plan.group) {
    const int64_t group = std::min(plan.group, plan.tiles - first);
#pragma omp for schedule(dynamic, 1)
    for (int64_t tile = 0; tile < group; ++tile) {
      if (!stopped(call.args)) HWY_DYNAMIC_DISPATCH(InputTask)(call, first, group, tile);
    }
    const int64_t chunks = (group + plan.chunk - 1) / plan.chunk;
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < plan.panels * chunks; ++task) {
      if (stopped(call.args)) continue;
      const int64_t row = task % chunks * plan.chunk;
      HWY_DYNAMIC_DISPATCH(FiltersTask)
      (call, task / chunks, first, group, row, std::min(plan.chunk, group - row));
    }
  }
}

void by_tiles(const WinogradCall& call) {
  const WinogradPlan& plan = call.plan;
  if (!call.args.weights.transformed) {
    transform_all(call.args.weights, call.args.in_channels, call.args.out_channels, call.weights,
                  call.args.stop);
  }
  const int64_t chunks = (plan.tiles + plan.chunk - 1) / plan.chunk;
#pragma omp for schedule(dynamic, 1)
  for (int64_t task = 0; task < chunks; ++task) {
    if (stopped(call.args)) continue;
    const int64_t first = task * plan.chunk;
    HWY_DYNAMIC_DISPATCH(TilesTask)(call, first, std::min(plan.chunk, plan.tiles - first));
  }
}

}  // namespace

void transform_winograd(const WinogradWeights& weights, int64_t out, int64_t in,
                        float* transformed) {
#pragma omp parallel
  transform_all(weights, in, out, transformed, nullptr);
}

void winograd(const Winograd& args, void* scratch, int threads) {
  WinogradCall shared{
      args, plan_winograd(args, threads), static_cast<float*>(scratch), nullptr, nullptr, nullptr};
  const WinogradPlan& plan = shared.plan;
  std::fill_n(shared.zeros, plan.zeros, 0.0F);
  float* const after_zeros = shared.zeros + plan.zeros;
  shared.inputs = plan.by_tiles ? nullptr : after_zeros;
  shared.weights = plan.weights > 0 ? after_zeros : const_cast<float*>(args.weights.transformed);
#pragma omp parallel num_threads(threads)
  {
    WinogradCall call = shared;
    call.own = static_cast<float*>(scratch) + plan.shared() + omp_get_thread_num() * plan.own();
    if (plan.by_tiles) {
      by_tiles(call);
    } else {
      by_filters(call);
    }
  }
}

}  // namespace safelight::engine::cpu
#endif  // HWY_ONCE
