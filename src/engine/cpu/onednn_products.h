#pragma once

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/lowering_options.h"
#include "engine/cpu/plan_builder.h"
#include "engine/cpu/product.h"

namespace safelight::engine::cpu {

/// The product by oneDNN's matmul or direct convolution, in bf16 where source and processor have
/// it, else in float32. Throws dnnl::error where oneDNN refuses.
void add_onednn_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                        const LoweringOptions& options);

/// a [..., M, K] times b [..., K, N] (any strides with a contiguous dimension among the last two)
/// -> row-major. Both in a storage that oneDNN computes with here.
void add_onednn_matmul(PlanBuilder& builder, const dnnl::engine& engine, const View& a,
                       const View& b, const View& result);

}  // namespace safelight::engine::cpu
