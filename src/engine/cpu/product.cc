#include "engine/cpu/product.h"

namespace safelight::engine::cpu {

double Product::flops() const {
  const int64_t products_per_value = graph::element_count(weight_shape) / weight_shape[0];
  return 2.0 * static_cast<double>(graph::element_count(result.sizes)) *
         static_cast<double>(products_per_value);
}

std::optional<WeightFormat> weight_format(graph::DType type) {
  switch (type) {
    case graph::DType::kF32:
      return WeightFormat::kF32;
    case graph::DType::kF16:
      return WeightFormat::kF16;
    case graph::DType::kBF16:
      return WeightFormat::kBF16;
    default:
      return std::nullopt;
  }
}

}  // namespace safelight::engine::cpu
