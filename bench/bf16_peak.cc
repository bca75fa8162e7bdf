#include <immintrin.h>

#include "bench/peaks.h"

namespace safelight::bench {

// Highway 1.0 has no target with bf16 dot products.
__attribute__((target("avx512f,avx512bf16"))) int64_t run_bf16_loop(int64_t rounds) {
  // Enough chains to hide a latency of up to 12 cycles at two a cycle.
  constexpr int kChains = 24;
  constexpr int kFlops = 16 * 2 * 2;  // of one instruction: pairs of products, each with its sum
  const __m512 ones = _mm512_set1_ps(0.01F);
  const __m512bh factor = _mm512_cvtne2ps_pbh(ones, ones);
  __m512 chains[kChains];
  for (int c = 0; c < kChains; ++c) chains[c] = _mm512_set1_ps(static_cast<float>(c));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) chains[c] = _mm512_dpbf16_ps(chains[c], factor, factor);
  }
  __m512 total = _mm512_setzero_ps();
  for (int c = 0; c < kChains; ++c) total = _mm512_add_ps(total, chains[c]);
  volatile float keep = _mm512_cvtss_f32(total);
  static_cast<void>(keep);
  return rounds * kChains * kFlops;
}

}  // namespace safelight::bench
