#include "bench/peaks.h"

#include <algorithm>
#include <chrono>

#include "engine/cpu/isa.h"

namespace safelight::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// The best of some short runs: what others do on the machine only ever makes it slower.
double best_rate(int64_t (*loop)(int64_t), int threads) {
  constexpr int kRuns = 8;
  constexpr int64_t kRounds = 1 << 19;  // some 10 to 30 ms
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    int64_t operations = 0;
    const auto begin = Clock::now();
#pragma omp parallel num_threads(threads) reduction(+ : operations)
    operations += loop(kRounds);
    const std::chrono::duration<double> taken = Clock::now() - begin;
    best = std::max(best, static_cast<double>(operations) / taken.count());
  }
  return best;
}

}  // namespace

Peaks measure_peaks(int threads) {
  using engine::cpu::Isa;
  Peaks peaks{.f32 = best_rate(run_fma_loop, threads)};
  if (engine::cpu::active_isa() == Isa::kAvx512Bf16) peaks.bf16 = best_rate(run_bf16_loop, threads);
  return peaks;
}

}  // namespace safelight::bench
