#pragma once

#include <vector>

#include "engine/cpu/product_planner.h"

namespace safelight::engine::cpu {

/// Runs the product with each method on memory of its own, shortened to a fraction of a second, and
/// gives the fastest. Throws what the methods throw.
const ProductMethod* fastest_method(const std::vector<const ProductMethod*>& methods,
                                    const Product& product, const PlanBuilder& builder,
                                    const CpuWeights& weights, const LoweringOptions& options);

}  // namespace safelight::engine::cpu
