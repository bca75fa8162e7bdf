#pragma once

#include <random>

#include "base/tensor.h"

namespace safelight::testing {

/// Normally distributed values, the same for the same seed.
inline Tensor random_tensor(std::vector<int64_t> shape, uint32_t seed, float scale = 1) {
  Tensor tensor(std::move(shape));
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, scale);
  for (float& value : tensor.data) value = normal(generator);
  return tensor;
}

/// The tensor with every value rounded to bfloat16, to nearest even.
inline Tensor rounded_to_bf16(Tensor tensor) {
  for (float& value : tensor.data) {
    uint32_t bits;
    static_assert(sizeof bits == sizeof value);
    __builtin_memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000U;
    __builtin_memcpy(&value, &bits, sizeof bits);
  }
  return tensor;
}

}  // namespace safelight::testing
