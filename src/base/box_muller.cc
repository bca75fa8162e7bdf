#include "base/box_muller.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace safelight {
namespace {

// Cephes' logf and sincosf as torch's AVX2 kernel has them (avx_mathfun.h), with the fused
// multiply-adds that its compiler makes: found by comparing bits with torch. std::fma gives them on
// every processor. All of it is inlined, to be compiled for the instructions of the caller.

[[gnu::always_inline]] inline float exact_log(float x) {
  constexpr std::array kPolynomial = {-1.1514610310e-1F, 1.1676998740e-1F,  -1.2420140846e-1F,
                                      1.4249322787e-1F,  -1.6668057665e-1F, 2.0000714765e-1F,
                                      -2.4999993993e-1F, 3.3333331174e-1F};
  x = std::max(x, std::bit_cast<float>(0x00800000U));  // the least normal number
  const auto bits = std::bit_cast<uint32_t>(x);
  auto exponent = static_cast<float>(static_cast<int>(bits >> 23) - 0x7F) + 1;
  x = std::bit_cast<float>((bits & ~0x7F800000U) | 0x3F000000U);  // mantissa in [0.5, 1)
  const bool small = x < 0.707106781186547524F;
  const float extra = small ? x : 0;
  x = x - 1;
  exponent -= small ? 1.0F : 0.0F;
  x = x + extra;
  const float z = x * x;
  float y = 7.0376836292e-2F;
  for (const float c : kPolynomial) y = std::fma(y, x, c);
  y = y * x;
  y = std::fma(y, z, exponent * -2.12194440e-4F);
  y = std::fma(-z, 0.5F, y);
  x = x + y;
  return std::fma(exponent, 0.693359375F, x);
}

struct SinCos {
  float sin, cos;
};

[[gnu::always_inline]] inline SinCos exact_sincos(float x) {  // x >= 0
  int octant = static_cast<int>(x * 1.27323954473516F);
  octant = (octant + 1) & ~1;
  const auto j = static_cast<float>(octant);
  const uint32_t sin_sign = static_cast<uint32_t>(octant & 4) << 29;
  const uint32_t cos_sign = (~static_cast<uint32_t>(octant - 2) & 4U) << 29;
  x = std::fma(j, -0.78515625F, x);
  x = std::fma(j, -2.4187564849853515625e-4F, x);
  x = std::fma(j, -3.77489497744594108e-8F, x);
  const float z = x * x;
  float even = 2.443315711809948e-5F;
  even = std::fma(even, z, -1.388731625493765e-3F);
  even = std::fma(even, z, 4.166664568298827e-2F);
  even = even * z;
  even = std::fma(even, z, -(z * 0.5F));
  even = even + 1;
  float odd = -1.9515295891e-4F;
  odd = std::fma(odd, z, 8.3321608736e-3F);
  odd = std::fma(odd, z, -1.6666654611e-1F);
  odd = odd * z;
  odd = std::fma(odd, x, x);
  const bool plain = (octant & 2) == 0;
  return {std::bit_cast<float>(std::bit_cast<uint32_t>(plain ? odd : even) ^ sin_sign),
          std::bit_cast<float>(std::bit_cast<uint32_t>(plain ? even : odd) ^ cos_sign)};
}

[[gnu::always_inline]] inline void box_muller_16(float* values) {
  std::array<float, 8> radius;  // loops apart, so that the compiler can turn them into vectors
  for (size_t i = 0; i < 8; ++i) radius[i] = -2.0F * exact_log(1 - values[i]);
  for (float& value : radius) value = std::sqrt(value);
  for (size_t i = 0; i < 8; ++i) {
    const SinCos angle = exact_sincos(6.283185307179586F * values[i + 8]);
    // torch adds the mean, 0, which makes the -0 of a zero radius positive.
    values[i] = radius[i] * angle.cos + 0.0F;
    values[i + 8] = radius[i] * angle.sin + 0.0F;
  }
}

[[gnu::always_inline]] inline void box_muller_blocks(std::span<float> values) {
  for (size_t i = 0; i + 16 <= values.size(); i += 16) box_muller_16(values.data() + i);
}

#ifdef __x86_64__
[[gnu::target("avx2,fma")]] void box_muller_avx2(std::span<float> values) {
  box_muller_blocks(values);
}
#endif

}  // namespace

void box_muller_portable(std::span<float> values) { box_muller_blocks(values); }

void box_muller(std::span<float> values) {
#ifdef __x86_64__
  static const bool kHasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (kHasAvx2) return box_muller_avx2(values);
#endif
  box_muller_portable(values);
}

}  // namespace safelight
