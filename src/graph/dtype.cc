#include "graph/dtype.h"

#include <array>

namespace safelight::graph {
namespace {

struct DTypeInfo {
  DType type;
  std::string_view name;
  size_t size;
  bool floating;
};

constexpr std::array kTypes = {
    DTypeInfo{DType::kF64, "F64", 8, true},        DTypeInfo{DType::kF32, "F32", 4, true},
    DTypeInfo{DType::kF16, "F16", 2, true},        DTypeInfo{DType::kBF16, "BF16", 2, true},
    DTypeInfo{DType::kF8E4M3, "F8_E4M3", 1, true}, DTypeInfo{DType::kF8E5M2, "F8_E5M2", 1, true},
    DTypeInfo{DType::kI64, "I64", 8, false},       DTypeInfo{DType::kI32, "I32", 4, false},
    DTypeInfo{DType::kI16, "I16", 2, false},       DTypeInfo{DType::kI8, "I8", 1, false},
    DTypeInfo{DType::kU64, "U64", 8, false},       DTypeInfo{DType::kU32, "U32", 4, false},
    DTypeInfo{DType::kU16, "U16", 2, false},       DTypeInfo{DType::kU8, "U8", 1, false},
    DTypeInfo{DType::kBool, "BOOL", 1, false},
};

constexpr const DTypeInfo& info(DType type) { return kTypes[static_cast<size_t>(type)]; }

}  // namespace

size_t dtype_size(DType type) { return info(type).size; }
std::string_view dtype_name(DType type) { return info(type).name; }
bool is_floating(DType type) { return info(type).floating; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeInfo& entry : kTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

}  // namespace safelight::graph
