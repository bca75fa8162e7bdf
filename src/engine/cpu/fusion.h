#pragma once

#include <optional>
#include <vector>

#include "engine/cpu/kernels/kernels.h"
#include "graph/graph.h"

namespace safelight::engine::cpu {

/// What a product (convolution or linear layer) does to its result before it is stored, in order.
struct PostOperation {
  Unary unary;            ///< used when `addend` is invalid
  graph::Value addend{};  ///< a tensor of the result's shape to add
};

/// A group of nodes that run as one step, at the place of the last of them.
struct Fusion {
  graph::Value core;                 ///< the product, norm or binary node that does the work
  std::vector<PostOperation> after;  ///< products; norms and binaries have at most one unary
  graph::Value source{};             ///< convolutions: the image to read, larger by `upsample`
  int upsample = 1;
  graph::Value norm_input{};  ///< group norm: the tensor [B, C, ...] to normalise
  graph::Value
      norm_addend{};  ///< group norm: [B, C] (with dimensions of 1) added to it first, or invalid
};

/// The fused form of a graph: for each node, whether and how it runs.
struct FusedGraph {
  std::vector<bool> runs;                      ///< false: dead, or part of a later node's fusion
  std::vector<std::optional<Fusion>> fusions;  ///< by the node at whose place it runs
};

/// The engine's unary function of an element-wise node; nothing for other operators.
std::optional<Unary> unary_of(const graph::Node& node);

/// Finds what runs together:
///   nearest up-sampling -> convolution, product -> activation -> + residual, group norm over (x +
///   per-channel term) -> activation, binary -> activation. Nodes that no output needs do not run.
FusedGraph fuse(const graph::Graph& graph);

}  // namespace safelight::engine::cpu
