#pragma once

#include <array>
#include <vector>

#include "graph/graph.h"

namespace safelight::bench {

/// A convolution or a batch of matrix products of a graph, and how often the graph has it.
struct Product {
  enum class Kind : uint8_t { kConv2d, kMatMul };
  Kind kind = Kind::kMatMul;
  /// kConv2d: batch, input channels, height, width, output channels. kMatMul: batch, M, N, K, 0.
  std::array<int64_t, 5> sizes{};
  std::array<int64_t, 2> kernel{};     ///< kConv2d: height and width
  graph::Conv2dAttributes attributes;  ///< kConv2d
  double flops = 0;                    ///< of one
  int64_t count = 1;

  bool same_as(const Product& other) const;
};

/// The distinct products of a graph. Attention counts as its two batches of matrix products.
std::vector<Product> products_of(const graph::Graph& graph);

/// Floating-point operations of all products of a graph.
double flops_of(const graph::Graph& graph);

}  // namespace safelight::bench
