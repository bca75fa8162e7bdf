#include "weights/gguf_format.h"

#include <algorithm>
#include <iterator>

namespace safelight::weights {
namespace {

using graph::DType;

struct Type {
  uint32_t number;
  DType dtype;
};

/// enum ggml_type.
constexpr Type kTypes[] = {
    {0, DType::kF32},    {1, DType::kF16},    {2, DType::kQ4_0}, {3, DType::kQ4_1},
    {6, DType::kQ5_0},   {7, DType::kQ5_1},   {8, DType::kQ8_0}, {10, DType::kQ2K},
    {11, DType::kQ3K},   {12, DType::kQ4K},   {13, DType::kQ5K}, {14, DType::kQ6K},
    {20, DType::kIQ4NL}, {23, DType::kIQ4XS}, {24, DType::kI8},  {25, DType::kI16},
    {26, DType::kI32},   {27, DType::kI64},   {28, DType::kF64}, {30, DType::kBF16},
};

struct Foreign {
  uint32_t number;
  std::string_view name;
};

constexpr Foreign kForeign[] = {
    {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
    {21, "IQ3_S"}, {22, "IQ2_S"}, {29, "IQ1_M"},   {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"},
};

}  // namespace

std::optional<uint32_t> gguf_type_of(DType type) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const Type& t) { return t.dtype == type; });
  return found == std::end(kTypes) ? std::nullopt : std::optional(found->number);
}

std::optional<DType> dtype_of_gguf(uint32_t type) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const Type& t) { return t.number == type; });
  return found == std::end(kTypes) ? std::nullopt : std::optional(found->dtype);
}

std::string_view foreign_gguf_type(uint32_t type) {
  const auto* found = std::find_if(std::begin(kForeign), std::end(kForeign),
                                   [&](const Foreign& t) { return t.number == type; });
  return found == std::end(kForeign) ? std::string_view() : found->name;
}

}  // namespace safelight::weights
