#include "engine/cpu/product_timing.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/cpu/arena.h"
#include "engine/cpu/memory_plan.h"

namespace safelight::engine::cpu {
namespace {

constexpr double kMaxFlops = 8e9;  // of one run: 10 to 50 ms
constexpr int kRuns = 2;
// Methods that come first need no widened copy of a 16-bit weight; one that does must be faster by
// this factor.
constexpr double kWorthMemory = 0.88;

/// The size of a convolution's result along the height for `height` rows of its source.
int64_t result_height(const Product& product, int64_t height) {
  const graph::Conv2dAttributes& c = *product.convolution;
  const int64_t reach = c.dilation[0] * (product.weight_shape[2] - 1) + 1;
  return (height * product.upsample + c.padding.top + c.padding.bottom - reach) / c.stride[0] + 1;
}

/// Sizes of source and result with fewer pictures, then fewer rows, until a run is short enough.
void shorten(const Product& product, graph::Shape& source, graph::Shape& result) {
  const auto halves_until = [](double excess, int64_t size, int64_t least) {
    while (excess > 1 && size / 2 >= least) {
      size /= 2;
      excess /= 2;
    }
    return size;
  };
  const double excess = product.flops() / kMaxFlops;
  if (!product.convolution) {
    const int64_t rows = graph::element_count(source) / source.back();
    source = {halves_until(excess, rows, 64), source.back()};
    result = {source[0], result.back()};
    return;
  }
  const double one = excess / static_cast<double>(source[0]);
  source[0] = result[0] = 1;
  source[2] = halves_until(one, source[2], 16);
  result[2] = result_height(product, source[2]);
}

/// The product on buffers of its own.
Product placed_anew(const Product& product, const PlanBuilder& from, PlanBuilder& to) {
  Product copy = product;
  graph::Shape source = product.source.sizes, result = product.result.sizes;
  shorten(product, source, result);
  copy.source = to.usual_layout(source, from.storage(product.source));
  copy.result = to.usual_layout(result, from.storage(product.result));
  for (PlacedPostOperation& operation : copy.after) {
    if (!operation.addend.valid()) continue;
    operation.addend = to.usual_layout(result, from.storage(operation.addend));
    to.make_persistent(operation.addend);
  }
  to.make_persistent(copy.source);
  to.make_persistent(copy.result);
  return copy;
}

double seconds_of(const ProductMethod& method, const Product& product, const PlanBuilder& builder,
                  const CpuWeights& weights, const LoweringOptions& options) {
  using Clock = std::chrono::steady_clock;
  weights::BoundWeights bound;
  bound.insert(product.weight, weights.tensor_now(product.weight));
  if (!product.bias.empty()) bound.insert(product.bias, weights.tensor_now(product.bias));
  CpuWeights own(std::move(bound), weights.engine());
  PlanBuilder timed;
  method.add(placed_anew(product, builder, timed), timed, own, options);
  Plan& plan = timed.plan();
  plan_memory(plan);
  Arena arena, persistent;
  std::byte* memory = persistent.reserve(plan.persistent_bytes);
  std::memset(memory, 0, plan.persistent_bytes);
  const Workspace workspace(plan.buffers, arena.reserve(plan.arena_bytes), memory, nullptr);
  double least = 0;
  for (int run = 0; run <= kRuns; ++run) {
    const auto begin = Clock::now();
    for (const std::unique_ptr<Step>& step : plan.steps) step->run(workspace);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (run == 1 || (run > 1 && seconds < least)) least = seconds;
  }
  return least;
}

}  // namespace

const ProductMethod* fastest_method(const std::vector<const ProductMethod*>& methods,
                                    const Product& product, const PlanBuilder& builder,
                                    const CpuWeights& weights, const LoweringOptions& options) {
  std::vector<double> seconds;
  for (const ProductMethod* method : methods) {
    seconds.push_back(seconds_of(*method, product, builder, weights, options));
  }
  size_t best = 0;
  for (size_t i = 1; i < methods.size(); ++i) {
    if (seconds[i] < kWorthMemory * seconds[best]) best = i;
  }
  return methods[best];
}

}  // namespace safelight::engine::cpu
