#pragma once

#include <bit>
#include <cstdint>

namespace safelight::weights {

/// IEEE half to single, exact; as weights/convert.cc does for vectors.
inline float f16_to_f32(uint16_t half) {
  const uint32_t magnitude = half & 0x7FFFU, sign = uint32_t{half & 0x8000U} << 16;
  if (magnitude < 0x0400) {
    const float subnormal = std::bit_cast<float>(magnitude | 0x3F000000U) - 0.5F;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(subnormal) | sign);
  }
  const uint32_t shift = magnitude >= 0x7C00 ? 224U << 23 : 112U << 23;
  return std::bit_cast<float>(((magnitude << 13) + shift) | sign);
}

/// Single to half, to nearest even as torch and ggml do; what is too large gives infinity, NaN
/// 0x7E00 with its sign.
inline uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000U, magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U);
  constexpr uint32_t kOverflow = 0x477FF000U;  // 65520, halfway between 65504 and 65536
  if (magnitude >= kOverflow) return static_cast<uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {  // Below 2^-14 halves count units of 2^-24, the spacing at 0.5.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000U));
  }
  const uint32_t rest = magnitude - (112U << 23);
  return static_cast<uint16_t>(sign | ((rest + 0xFFFU + (rest >> 13 & 1U)) >> 13));
}

}  // namespace safelight::weights
