#pragma once

#include <cstdint>

namespace safelight::bench {

/// Runs `rounds` rounds of float32 multiply-adds that touch registers only, on the calling thread,
/// with the widest vectors in use (fused from AVX2 on). Gives the number of floating-point
/// operations done (two a multiply-add).
int64_t run_fma_loop(int64_t rounds);
/// The same with dot products of bf16; needs AVX-512 BF16.
int64_t run_bf16_loop(int64_t rounds);

/// The most that the processor's registers can do, in FLOP/s over all threads together.
struct Peaks {
  double f32 = 0;
  double bf16 = 0;  ///< 0 where there are no bf16 dot products in use
};

/// Measures the peaks for about a third of a second on `threads` threads.
Peaks measure_peaks(int threads);

}  // namespace safelight::bench
