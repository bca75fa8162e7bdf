#pragma once

#include "nn/module.h"

namespace safelight::nn {

/// y = x W^T + b over the last dimension. W [out, in].
struct Linear {
  Param weight;
  std::optional<Param> bias;

  Linear(int64_t in, int64_t out, bool with_bias = true);
  Value operator()(Graph& graph, Value x) const;  ///< [..., in] -> [..., out]

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("weight", weight);
    if (bias) visitor("bias", *bias);
  }
};

/// 2-D convolution with a square kernel. W [out, in, kernel, kernel].
struct Conv2d {
  Param weight, bias;
  graph::Conv2dAttributes attributes;

  Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, graph::Padding padding);
  /// Stride 1 and as much padding as keeps the size.
  Conv2d(int64_t in, int64_t out, int64_t kernel)
      : Conv2d(in, out, kernel, 1, graph::Padding::same(kernel / 2)) {}
  Value operator()(Graph& graph, Value x) const;  ///< [B, in, H, W] -> [B, out, H', W']

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("weight", weight);
    visitor("bias", bias);
  }
};

/// Group normalisation (Wu & He 2018) with scale and shift per channel.
struct GroupNorm {
  Param weight, bias;
  int64_t groups;
  float epsilon;

  GroupNorm(int64_t channels, float epsilon, int64_t groups = 32);
  /// [B, C, ...] -> same. `statistics` [B, groups, 2] are normalised by instead of x's own: those
  /// of a whole of which x is a part.
  Value operator()(Graph& graph, Value x, Value statistics = {}) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("weight", weight);
    visitor("bias", bias);
  }
};

/// Layer normalisation over the last dimension with scale and shift.
struct LayerNorm {
  Param weight, bias;
  float epsilon;

  explicit LayerNorm(int64_t size, float epsilon = 1e-5F);
  Value operator()(Graph& graph, Value x) const;  ///< [..., C] -> same

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("weight", weight);
    visitor("bias", bias);
  }
};

/// Rows of a table by whole-number ids. [..] -> [.., size]
struct Embedding {
  Param weight;

  Embedding(int64_t count, int64_t size);
  Value operator()(Graph& graph, Value ids) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("weight", weight);
  }
};

}  // namespace safelight::nn
