#include "nn/layers.h"

namespace safelight::nn {

Linear::Linear(int64_t in, int64_t out, bool with_bias) : weight{"", {out, in}} {
  if (with_bias) bias = Param{"", {out}};
}

Value Linear::operator()(Graph& graph, Value x) const {
  return graph.linear(x, use(graph, weight), bias ? use(graph, *bias) : Value{});
}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, graph::Padding padding)
    : weight{"", {out, in, kernel, kernel}},
      bias{"", {out}},
      attributes{{stride, stride}, padding, {1, 1}, 1} {}

Value Conv2d::operator()(Graph& graph, Value x) const {
  return graph.conv2d(x, use(graph, weight), use(graph, bias), attributes);
}

GroupNorm::GroupNorm(int64_t channels, float eps, int64_t group_count)
    : weight{"", {channels}}, bias{"", {channels}}, groups(group_count), epsilon(eps) {}

Value GroupNorm::operator()(Graph& graph, Value x, Value statistics) const {
  const Value scale = use(graph, weight), shift = use(graph, bias);
  if (!statistics.valid()) return graph.group_norm(x, scale, shift, groups, epsilon);
  return graph.group_normalise(x, statistics, scale, shift, epsilon);
}

LayerNorm::LayerNorm(int64_t size, float eps)
    : weight{"", {size}}, bias{"", {size}}, epsilon(eps) {}

Value LayerNorm::operator()(Graph& graph, Value x) const {
  return graph.layer_norm(x, use(graph, weight), use(graph, bias), epsilon);
}

Embedding::Embedding(int64_t count, int64_t size) : weight{"", {count, size}} {}

Value Embedding::operator()(Graph& graph, Value ids) const {
  return graph.embedding(ids, use(graph, weight));
}

}  // namespace safelight::nn
