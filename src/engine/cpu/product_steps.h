#pragma once

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/fusion.h"
#include "engine/cpu/plan_builder.h"

namespace safelight::engine::cpu {

/// A post-operation whose addend has its place.
struct PlacedPostOperation {
  Unary unary;
  View addend;  ///< valid: add this instead
};

/// A product of oneDNN to add to a plan. Source, result and addends are in storages that oneDNN
/// computes with on this processor; images channels-last, matrices as rows.
struct Product {
  View source;
  std::string weight, bias;  ///< names of params; bias may be empty
  View result;
  std::vector<PlacedPostOperation> after;
};

/// [..., K] times the weight [N, K] transposed -> [..., N], by oneDNN's matmul.
void add_linear(PlanBuilder& builder, CpuWeights& weights, const dnnl::engine& engine,
                const std::string& kind, const Product& product);

/// Convolution [B, C, H, W] -> [B, O, H', W'] of channels-last images.
void add_conv2d(PlanBuilder& builder, CpuWeights& weights, const dnnl::engine& engine,
                const Product& product, const graph::Conv2dAttributes& attributes,
                const graph::Shape& weight_shape);

/// a [..., M, K] times b [..., K, N] (any strides with a contiguous dimension among the last two)
/// -> row-major.
void add_matmul(PlanBuilder& builder, const dnnl::engine& engine, const View& a, const View& b,
                const View& result);

}  // namespace safelight::engine::cpu
