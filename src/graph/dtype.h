#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace safelight::graph {

/// Element types of tensors in files. Graph values have no dtype of their own: the engine's
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
  kBool
};

/// Bytes of one element.
size_t dtype_size(DType type);

/// The name that safetensors uses: "F32", "BF16", "F8_E4M3", "BOOL", ...
std::string_view dtype_name(DType type);

/// The type of that name, or nothing.
std::optional<DType> dtype_from_name(std::string_view name);

/// Whether the type holds real numbers (the float kinds).
bool is_floating(DType type);

}  // namespace safelight::graph
