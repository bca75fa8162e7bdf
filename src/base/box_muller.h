#pragma once

#include <span>

namespace safelight {

/// Uniform values in [0, 1) to standard normal ones, in place, bit for bit as torch's AVX2 kernel
/// (normal_fill_AVX2). In each sixteen the first eight give the radius, the others the angle; the
/// size is a multiple of 16.
void box_muller(std::span<float> values);

/// The same with the instructions that every processor has: the same bits, slower.
void box_muller_portable(std::span<float> values);

}  // namespace safelight
