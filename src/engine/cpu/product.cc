#include "engine/cpu/product.h"

namespace safelight::engine::cpu {

double Product::flops() const {
  const int64_t products_per_value = graph::element_count(weight_shape) / weight_shape[0];
  return 2.0 * static_cast<double>(graph::element_count(result.sizes)) *
         static_cast<double>(products_per_value);
}

}  // namespace safelight::engine::cpu
