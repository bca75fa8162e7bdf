#include "bench/peaks.h"

#include "engine/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/fma_peak.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway demands.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safelight::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

int64_t fma_loop(int64_t rounds) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  // Enough independent chains to hide the latency (4 cycles, two a cycle), few enough for 16
  // registers.
  constexpr int kChains = 12;
  const V factor = hn::Set(d, 0.999F), term = hn::Set(d, 0.001F);
  V chains[kChains];
  for (int c = 0; c < kChains; ++c) chains[c] = hn::Set(d, static_cast<float>(c));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) chains[c] = hn::MulAdd(chains[c], factor, term);
  }
  V total = hn::Zero(d);
  for (int c = 0; c < kChains; ++c) total = hn::Add(total, chains[c]);
  volatile float keep = hn::GetLane(hn::SumOfLanes(d, total));
  static_cast<void>(keep);
  return rounds * kChains * static_cast<int64_t>(hn::Lanes(d)) * 2;
}

}  // namespace safelight::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safelight::bench {

HWY_EXPORT(fma_loop);

int64_t run_fma_loop(int64_t rounds) { return HWY_DYNAMIC_DISPATCH(fma_loop)(rounds); }

}  // namespace safelight::bench
#endif  // HWY_ONCE
