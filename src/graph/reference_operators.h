#pragma once

#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"

namespace safelight::graph::reference {

/// The operands of a node; a null pointer where an optional one is absent.
using Operands = std::vector<const Tensor*>;

/// Calls body(index) for each multi-index of the shape, in row-major order.
template <class Body>
void for_each_index(const Shape& shape, Body body) {
  Shape index(shape.size(), 0);
  for (int64_t n = element_count(shape); n > 0; --n) {
    body(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

int64_t offset_of(const Shape& index, const Shape& strides);
/// Strides that read `shape` as if it had been broadcast to `target`.
Shape broadcast_strides(const Shape& shape, const Shape& target);

/// An operator of one element, of kSilu to kAbs.
double unary_value(Op op, double x);

// Each computes `out`, which has the node's shape.

// reference_products.cc
void linear(const Operands& in, Tensor& out);
void matmul(const Node& node, const Operands& in, Tensor& out);
void conv2d(const Node& node, const Operands& in, Tensor& out);

// reference_norms.cc
void group_statistics(const Node& node, const Operands& in, Tensor& out);
void group_norm(const Node& node, const Operands& in, Tensor& out);
void normalise_rows(const Node& node, const Operands& in, Tensor& out);

// reference_transformer.cc
void attention(const Node& node, const Operands& in, Tensor& out);
void geglu(const Node& node, const Operands& in, Tensor& out);
void embedding(const Operands& in, Tensor& out);
void timestep_embedding(const Node& node, const Operands& in, Tensor& out);
void token_slots(const Node& node, const Operands& in, Tensor& out);
void move_tokens(const Node& node, const Operands& in, Tensor& out);

// reference_movement.cc
void permute(const Node& node, const Operands& in, Tensor& out);
void concat(const Node& node, const Operands& in, Tensor& out);
void slice(const Node& node, const Operands& in, Tensor& out);
void pad2d(const Node& node, const Operands& in, Tensor& out);
void broadcast_to(const Node& node, const Operands& in, Tensor& out);
void upsample_nearest(const Node& node, const Operands& in, Tensor& out);
void mean(const Node& node, const Operands& in, Tensor& out);

}  // namespace safelight::graph::reference
