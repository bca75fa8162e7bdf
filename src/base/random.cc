#include "base/random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace safelight {
namespace {

// Cephes' logf and sincosf as torch's AVX2 kernel has them (avx_mathfun.h), with the fused
// multiply-adds that its compiler makes: found by comparing bits with torch. std::fma gives them on
// every processor.

float exact_log(float x) {
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

SinCos exact_sincos(float x) {  // x >= 0
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

/// Sixteen uniform values to sixteen normal ones: the first eight give the radius, the others the
/// angle.
void box_muller_16(float* values) {
  for (int i = 0; i < 8; ++i) {
    const float radius = std::sqrt(-2.0F * exact_log(1 - values[i]));
    const SinCos angle = exact_sincos(6.283185307179586F * values[i + 8]);
    // torch adds the mean, 0, which makes the -0 of a zero radius positive.
    values[i] = radius * angle.cos + 0.0F;
    values[i + 8] = radius * angle.sin + 0.0F;
  }
}

/// 24 random bits in [0, 1), as at::uniform_real_distribution<float>.
float uniform_float(std::mt19937& engine) {
  return static_cast<float>(engine() & 0xFFFFFFU) * 0x1p-24F;
}

using PhiloxCounter = std::array<uint32_t, 4>;

PhiloxCounter philox_4x32_10(PhiloxCounter c, uint64_t seed) {
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

}  // namespace

void TorchGenerator::randn(std::span<float> out) {
  if (out.size() < 16) {
    for (float& value : out) value = static_cast<float>(next_normal());
    return;
  }
  for (float& value : out) value = uniform_float(engine_);
  for (size_t i = 0; i + 16 <= out.size(); i += 16) box_muller_16(out.data() + i);
  if (out.size() % 16 != 0) {  // torch draws the last sixteen anew
    float* last = out.data() + out.size() - 16;
    for (int i = 0; i < 16; ++i) last[i] = uniform_float(engine_);
    box_muller_16(last);
  }
}

double TorchGenerator::uniform_double() {
  const uint64_t high = engine_(), low = engine_();
  return static_cast<double>((high << 32 | low) & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

double TorchGenerator::next_normal() {
  if (spare_) {
    const double value = *spare_;
    spare_.reset();
    return value;
  }
  const double angle = 2 * M_PI * uniform_double();
  const double radius = std::sqrt(-2 * std::log1p(-uniform_double()));
  spare_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void PhiloxGenerator::randn(std::span<float> out) {
  constexpr double kUnit = 2.3283064e-10F,
                   kUnitAngle = 2.3283064e-10F * 6.2831855F;  // 2^-32 as CUDA has it
  for (size_t i = 0; i < out.size(); ++i) {
    const PhiloxCounter bits = philox_4x32_10({offset_, 0, static_cast<uint32_t>(i), 0}, seed_);
    const double u = bits[0] * kUnit + kUnit / 2, v = bits[1] * kUnitAngle + kUnitAngle / 2;
    out[i] = static_cast<float>(std::sqrt(-2 * std::log(u)) * std::sin(v));
  }
  ++offset_;
}

uint32_t random_seed() {
  std::random_device device;
  return std::uniform_int_distribution<uint32_t>(0, 0xFFFFFFFEU)(device);
}

}  // namespace safelight
