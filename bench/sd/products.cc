#include "bench/sd/products.h"

#include <algorithm>

namespace safelight::bench {
namespace {

using graph::Graph;
using graph::Node;
using graph::Op;
using graph::Shape;

Product matmul(int64_t batch, int64_t m, int64_t n, int64_t k) {
  return {.sizes = {batch, m, n, k, 0},
          .flops = 2.0 * static_cast<double>(batch * m * n) * static_cast<double>(k)};
}

Product conv2d(const Graph& graph, const Node& node) {
  const Shape& x = graph.shape(node.inputs[0]);
  const Shape& weight = graph.shape(node.inputs[1]);
  return {.kind = Product::Kind::kConv2d,
          .sizes = {x[0], x[1], x[2], x[3], weight[0]},
          .kernel = {weight[2], weight[3]},
          .attributes = node.as<graph::Conv2dAttributes>(),
          .flops = 2.0 * static_cast<double>(graph::element_count(node.shape)) *
                   static_cast<double>(weight[1] * weight[2] * weight[3])};
}

/// The products of one node; none for what is no product.
std::vector<Product> products_of_node(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::kConv2d:
      return {conv2d(graph, node)};
    case Op::kLinear: {
      const Shape& weight = graph.shape(node.inputs[1]);
      return {matmul(1, graph::element_count(node.shape) / weight[0], weight[0], weight[1])};
    }
    case Op::kMatMul: {
      const int64_t m = node.shape[node.shape.size() - 2], n = node.shape.back();
      return {matmul(graph::element_count(node.shape) / (m * n), m, n,
                     graph.shape(node.inputs[0]).back())};
    }
    case Op::kAttention: {
      const int64_t heads = node.as<graph::AttentionAttributes>().heads;
      const int64_t batch = node.shape[0] * heads, queries = node.shape[1],
                    keys = graph.shape(node.inputs[1])[1], size = node.shape[2] / heads;
      return {matmul(batch, queries, keys, size), matmul(batch, queries, size, keys)};
    }
    default:
      return {};
  }
}

}  // namespace

bool Product::same_as(const Product& other) const {
  const graph::Padding &p = attributes.padding, &q = other.attributes.padding;
  return kind == other.kind && sizes == other.sizes && kernel == other.kernel &&
         attributes.stride == other.attributes.stride &&
         attributes.groups == other.attributes.groups && p.top == q.top && p.left == q.left &&
         p.bottom == q.bottom && p.right == q.right;
}

std::vector<Product> products_of(const Graph& graph) {
  std::vector<Product> distinct;
  for (const Node& node : graph.nodes()) {
    for (const Product& product : products_of_node(graph, node)) {
      const auto known = std::find_if(distinct.begin(), distinct.end(),
                                      [&](const Product& p) { return p.same_as(product); });
      if (known == distinct.end()) {
        distinct.push_back(product);
      } else {
        ++known->count;
      }
    }
  }
  return distinct;
}

double flops_of(const Graph& graph) {
  double total = 0;
  for (const Product& product : products_of(graph))
    total += product.flops * static_cast<double>(product.count);
  return total;
}

}  // namespace safelight::bench
