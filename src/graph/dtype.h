#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace safelight::graph {

/// Element types of tensors in files; those from kQ4_0 on are ggml's quantized ones, whose elements
/// share scales in blocks. Graph values have no dtype of their own: the engine's
/// precision sets it.
enum class DType : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kIQ4NL,
  kIQ4XS
};

/// Bytes of one element; of one block for a quantized type.
size_t dtype_size(DType type);

/// Elements of one block: 1, and 32 or 256 for a quantized type.
size_t dtype_block(DType type);

/// Whether elements are stored in blocks that share scales.
inline bool is_quantized(DType type) { return dtype_block(type) > 1; }

/// The name that safetensors uses: "F32", "BF16", "F8_E4M3", "BOOL", ..., or ggml: "Q8_0", "Q4_K",
/// ...
std::string_view dtype_name(DType type);

/// The type of that name, or nothing.
std::optional<DType> dtype_from_name(std::string_view name);

/// Whether the type holds real numbers (the float kinds).
bool is_floating(DType type);

}  // namespace safelight::graph
