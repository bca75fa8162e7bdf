#pragma once

#include "nn/layers.h"

namespace safelight::nn {

/// Keys and values of one attention, ready to be attended to: [B, T, C] each. Those of the text
/// depend on the conditioning alone and are computed once for it.
struct KeyValue {
  Value key, value;
};

/// Multi-head attention whose keys and values come from a context (LDM's CrossAttention and its
/// names).
struct CrossAttention {
  struct Output {
    Linear linear;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("0", linear);
    }
  };
  int64_t heads;
  Linear to_q, to_k, to_v;
  Output to_out;

  CrossAttention(int64_t size, int64_t context, int64_t heads);
  KeyValue keys(Graph& graph, Value context) const;                     ///< [B, T, context]
  Value operator()(Graph& graph, Value x, const KeyValue& keys) const;  ///< [B, N, size] -> same
  /// As if each token attended to itself alone: [B, N, size] -> same
  Value identity(Graph& graph, Value x) const;
  /// The attention that each of T keys gets from N tokens together, in the mean of the heads:
  /// [B, N, size] -> [B, T], in float32
  Value received(Graph& graph, Value x, const KeyValue& keys) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("to_q", to_q);
    visitor("to_k", to_k);
    visitor("to_v", to_v);
    visitor("to_out", to_out);
  }
};

/// Feed-forward layer gated by GELU (Shazeer 2020), four times as wide inside.
struct GatedFeedForward {
  struct Gate {
    Linear proj;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("proj", proj);
    }
  };
  Gate gate;
  Linear out;

  explicit GatedFeedForward(int64_t size) : gate{Linear(size, 8 * size)}, out(4 * size, size) {}
  Value operator()(Graph& graph, Value x) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("net.0", gate);
    visitor("net.2", out);
  }
};

/// Tokens of a picture that share a place in self-attention (Bolya & Hoffman 2023, as tomesd merges
/// without chance): those most like the first token of any window of 2 x 2.
struct TokenMerging {
  int64_t height = 0, width = 0;  ///< of the picture, in tokens
  int64_t merged = 0;             ///< tokens that give up their place

  /// `ratio`: of all tokens, at most those that are first in no window.
  static TokenMerging of_ratio(int64_t height, int64_t width, double ratio);
  /// tokens [B, N, C] -> the place of each, [B, N]
  Value slots(Graph& graph, Value tokens) const;
  int64_t kept() const { return height * width - merged; }
};

/// How a block attends to its own tokens, where not as it was trained to.
struct SelfAttention {
  TokenMerging merging;       ///< leaves the two below alone
  bool identity = false;      ///< see CrossAttention::identity
  Value* received = nullptr;  ///< is given what CrossAttention::received gives
};

/// Self-attention, cross-attention and feed-forward, each on a layer norm and added (LDM's
/// BasicTransformerBlock).
struct CrossTransformerBlock {
  CrossAttention attn1;
  GatedFeedForward ff;
  CrossAttention attn2;
  LayerNorm norm1, norm2, norm3;

  CrossTransformerBlock(int64_t size, int64_t context, int64_t heads);
  /// [B, N, size] -> same
  Value operator()(Graph& graph, Value x, const KeyValue& context,
                   const SelfAttention& own = {}) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("attn1", attn1);
    visitor("ff", ff);
    visitor("attn2", attn2);
    visitor("norm1", norm1);
    visitor("norm2", norm2);
    visitor("norm3", norm3);
  }
};

/// Transformer over the pixels of an image, added to it (LDM's SpatialTransformer).
struct SpatialTransformer {
  GroupNorm norm;
  Linear proj_in;
  std::vector<CrossTransformerBlock> transformer_blocks;
  Linear proj_out;

  SpatialTransformer(int64_t channels, int64_t context, int64_t heads, int64_t depth);
  /// How its blocks attend to their own tokens.
  struct Options {
    double merging = 0;            ///< ratio of the tokens that are merged
    std::vector<size_t> identity;  ///< blocks whose tokens attend to themselves alone
    Value* received = nullptr;     ///< is given what the first block's tokens receive
  };
  /// x [B, C, H, W], one KeyValue a block -> [B, C, H, W]
  Value operator()(Graph& graph, Value x, const KeyValue* keys, const Options& options) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("norm", norm);
    visitor("proj_in", proj_in);
    visitor("transformer_blocks", transformer_blocks);
    visitor("proj_out", proj_out);
  }
};

}  // namespace safelight::nn
