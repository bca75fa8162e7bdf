#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/weight_format.h"
#include "engine/cpu/plan.h"
#include "graph/dtype.h"
#include "graph/graph.h"

namespace safelight::engine::cpu {

/// A post-operation whose addend has its place.
struct PlacedPostOperation {
  Unary unary;
  View addend;  ///< valid: add this instead
};

/// A weighted product to add to a plan: a linear layer (also a 1x1 convolution, its pixels as
/// rows), [..., K] times the weight [N, K] transposed -> [..., N], or a convolution of
/// channels-last images [B, C, H, W] -> [B, O, H', W'].
struct Product {
  std::string kind;  ///< for profiles: "linear", "conv1x1", "conv2d"
  View source;       ///< rows, or a dense channels-last image
  View result;
  std::string weight, bias;                ///< names of params; bias may be empty
  std::vector<PlacedPostOperation> after;  ///< addends have the layout of the result
  std::optional<graph::Conv2dAttributes> convolution;
  graph::Shape weight_shape;  ///< [O, C / groups, KH, KW], or [N, K]
  int upsample = 1;           ///< a convolution reads its source larger by this factor (nearest)

  /// Of the products themselves.
  double flops() const;
};

/// How our kernels read a weight of that type; nothing for types that they do not read.
std::optional<WeightFormat> weight_format(graph::DType type);

}  // namespace safelight::engine::cpu
