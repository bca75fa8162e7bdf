#include "graph/reference_operators.h"

namespace safelight::graph::reference {

int64_t offset_of(const Shape& index, const Shape& strides) {
  int64_t offset = 0;
  for (size_t d = 0; d < strides.size(); ++d) offset += index[d] * strides[d];
  return offset;
}

Shape broadcast_strides(const Shape& shape, const Shape& target) {
  const Shape dense = dense_strides(shape);
  Shape strides(target.size(), 0);
  const size_t lead = target.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) strides[lead + d] = shape[d] == 1 ? 0 : dense[d];
  return strides;
}

void permute(const Node& node, const Operands& in, Tensor& out) {
  const Shape& order = node.as<ShapeAttributes>().shape;
  const Shape dense = dense_strides(in[0]->shape);
  Shape strides(order.size());
  for (size_t d = 0; d < order.size(); ++d) strides[d] = dense[static_cast<size_t>(order[d])];
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = in[0]->data[offset_of(index, strides)];
  });
}

void concat(const Node& node, const Operands& in, Tensor& out) {
  const auto axis = static_cast<size_t>(node.as<AxisAttributes>().axis);
  const Shape strides = dense_strides(node.shape);
  int64_t begin = 0;
  for (const Tensor* part : in) {
    size_t i = 0;
    for_each_index(part->shape, [&](const Shape& index) {
      out.data[offset_of(index, strides) + begin * strides[axis]] = part->data[i++];
    });
    begin += part->shape[axis];
  }
}

void slice(const Node& node, const Operands& in, Tensor& out) {
  const auto& [axis, begin, end] = node.as<AxisAttributes>();
  const Shape strides = dense_strides(in[0]->shape);
  const int64_t first = begin * strides[static_cast<size_t>(axis)];
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = in[0]->data[first + offset_of(index, strides)];
  });
}

void pad2d(const Node& node, const Operands& in, Tensor& out) {
  const auto& padding = node.as<Padding>();
  const Shape strides = dense_strides(node.shape);
  size_t i = 0;
  for_each_index(in[0]->shape, [&](Shape index) {
    index[2] += padding.top;
    index[3] += padding.left;
    out.data[offset_of(index, strides)] = in[0]->data[i++];
  });
}

void broadcast_to(const Node& node, const Operands& in, Tensor& out) {
  const Shape strides = broadcast_strides(in[0]->shape, node.shape);
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = in[0]->data[offset_of(index, strides)];
  });
}

void upsample_nearest(const Node& node, const Operands& in, Tensor& out) {
  const auto& [fy, fx] = node.as<UpsampleAttributes>();
  const Shape strides = dense_strides(in[0]->shape);
  size_t i = 0;
  for_each_index(node.shape, [&, fy = fy, fx = fx](Shape index) {
    index[2] /= fy;
    index[3] /= fx;
    out.data[i++] = in[0]->data[offset_of(index, strides)];
  });
}

void mean(const Node& node, const Operands& in, Tensor& out) {
  const auto axis = static_cast<size_t>(node.as<AxisAttributes>().axis);
  const Shape strides = dense_strides(in[0]->shape);
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    double sum = 0;
    for (int64_t j = 0; j < in[0]->shape[axis]; ++j)
      sum += in[0]->data[offset_of(index, strides) + j * strides[axis]];
    out.data[i++] = static_cast<float>(sum / static_cast<double>(in[0]->shape[axis]));
  });
}

}  // namespace safelight::graph::reference
