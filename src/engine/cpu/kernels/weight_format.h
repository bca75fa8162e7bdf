#pragma once

#include <cstddef>
#include <cstdint>

namespace safelight::engine::cpu {

/// How weights stand in memory; all are exact in float32.
enum class WeightFormat : uint8_t { kF32, kF16, kBF16 };

constexpr size_t weight_size(WeightFormat format) { return format == WeightFormat::kF32 ? 4 : 2; }

}  // namespace safelight::engine::cpu
