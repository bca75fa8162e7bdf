#pragma once

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/lowering_options.h"
#include "engine/cpu/plan_builder.h"
#include "engine/cpu/product.h"

namespace safelight::engine::cpu {

/// Whether add_winograd_product() can do it: a 3x3 convolution at stride 1, padded by at most one,
/// of enough channels, followed by nothing or an activation, then nothing or a residual.
bool takes_winograd(const Product& product, const PlanBuilder& builder, const CpuWeights& weights,
                    const LoweringOptions& options);

/// The convolution by Winograd's method, in float32 whatever the storages. The weights stay in the
/// file's own type.
void add_winograd_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                          const LoweringOptions& options);

}  // namespace safelight::engine::cpu
