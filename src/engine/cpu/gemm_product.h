#pragma once

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/lowering_options.h"
#include "engine/cpu/plan_builder.h"
#include "engine/cpu/product.h"

namespace safelight::engine::cpu {

/// Linear layers and convolutions without groups in float32 (of bf16 values, too, where the
/// processor does not multiply those) whose weight is F32, F16 or BF16 in its file.
bool takes_gemm(const Product& product, const PlanBuilder& builder, const CpuWeights& weights,
                const LoweringOptions& options);

/// The product by gemm(), which reads the weight from the mapped file: there is no copy of it.
void add_gemm_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                      const LoweringOptions& options);

}  // namespace safelight::engine::cpu
