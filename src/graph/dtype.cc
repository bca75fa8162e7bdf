#include "graph/dtype.h"

#include <array>

namespace safelight::graph {
namespace {

struct DTypeInfo {
  DType type;
  std::string_view name;
  size_t size;
  bool floating;
  size_t block = 1;
};

constexpr std::array kTypes = {
    DTypeInfo{DType::kF64, "F64", 8, true},
    DTypeInfo{DType::kF32, "F32", 4, true},
    DTypeInfo{DType::kF16, "F16", 2, true},
    DTypeInfo{DType::kBF16, "BF16", 2, true},
    DTypeInfo{DType::kF8E4M3, "F8_E4M3", 1, true},
    DTypeInfo{DType::kF8E5M2, "F8_E5M2", 1, true},
    DTypeInfo{DType::kI64, "I64", 8, false},
    DTypeInfo{DType::kI32, "I32", 4, false},
    DTypeInfo{DType::kI16, "I16", 2, false},
    DTypeInfo{DType::kI8, "I8", 1, false},
    DTypeInfo{DType::kU64, "U64", 8, false},
    DTypeInfo{DType::kU32, "U32", 4, false},
    DTypeInfo{DType::kU16, "U16", 2, false},
    DTypeInfo{DType::kU8, "U8", 1, false},
    DTypeInfo{DType::kBool, "BOOL", 1, false},
    DTypeInfo{DType::kQ4_0, "Q4_0", 18, true, 32},
    DTypeInfo{DType::kQ4_1, "Q4_1", 20, true, 32},
    DTypeInfo{DType::kQ5_0, "Q5_0", 22, true, 32},
    DTypeInfo{DType::kQ5_1, "Q5_1", 24, true, 32},
    DTypeInfo{DType::kQ8_0, "Q8_0", 34, true, 32},
    DTypeInfo{DType::kQ2K, "Q2_K", 84, true, 256},
    DTypeInfo{DType::kQ3K, "Q3_K", 110, true, 256},
    DTypeInfo{DType::kQ4K, "Q4_K", 144, true, 256},
    DTypeInfo{DType::kQ5K, "Q5_K", 176, true, 256},
    DTypeInfo{DType::kQ6K, "Q6_K", 210, true, 256},
    DTypeInfo{DType::kIQ4NL, "IQ4_NL", 18, true, 32},
    DTypeInfo{DType::kIQ4XS, "IQ4_XS", 136, true, 256},
};

constexpr const DTypeInfo& info(DType type) { return kTypes[static_cast<size_t>(type)]; }

}  // namespace

size_t dtype_size(DType type) { return info(type).size; }
size_t dtype_block(DType type) { return info(type).block; }
std::string_view dtype_name(DType type) { return info(type).name; }
bool is_floating(DType type) { return info(type).floating; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeInfo& entry : kTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

}  // namespace safelight::graph
