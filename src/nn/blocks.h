#pragma once

#include "nn/layers.h"

namespace safelight::nn {

/// Residual block of a denoiser, conditioned on the timestep (Ho et al. 2020; LDM's ResBlock and
/// its names).
struct TimestepResBlock {
  struct Input {
    GroupNorm norm;
    Conv2d conv;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("0", norm);
      visitor("2", conv);
    }
  };
  struct Timestep {
    Linear linear;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("1", linear);
    }
  };
  struct Output {
    GroupNorm norm;
    Conv2d conv;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("0", norm);
      visitor("3", conv);
    }
  };
  Input in_layers;
  Timestep emb_layers;
  Output out_layers;
  std::optional<Conv2d> skip_connection;

  TimestepResBlock(int64_t in, int64_t out, int64_t embedding);
  /// x [B, in, H, W], embedding [B, E] -> [B, out, H, W]
  Value operator()(Graph& graph, Value x, Value embedding) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("in_layers", in_layers);
    visitor("emb_layers", emb_layers);
    visitor("out_layers", out_layers);
    visitor("skip_connection", skip_connection);
  }
};

/// Residual block without conditioning (the autoencoder's; LDM's names).
struct ResBlock {
  GroupNorm norm1;
  Conv2d conv1;
  GroupNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> nin_shortcut;

  ResBlock(int64_t in, int64_t out);
  Value operator()(Graph& graph, Value x) const;  ///< [B, in, H, W] -> [B, out, H, W]

  /// The block in parts: add(skip(x), second(first(x))). `statistics`: see GroupNorm.
  Value first(Graph& graph, Value x, Value statistics = {}) const;
  Value second(Graph& graph, Value h, Value statistics = {}) const;
  Value skip(Graph& graph, Value x) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("norm1", norm1);
    visitor("conv1", conv1);
    visitor("norm2", norm2);
    visitor("conv2", conv2);
    visitor("nin_shortcut", nin_shortcut);
  }
};

/// Self-attention of one head over the pixels of an image, added to it (LDM's AttnBlock).
struct PixelAttention {
  GroupNorm norm;
  Linear q, k, v, proj_out;

  explicit PixelAttention(int64_t channels);
  Value operator()(Graph& graph, Value x) const;  ///< [B, C, H, W] -> same

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("norm", norm);
    visitor("q", q);
    visitor("k", k);
    visitor("v", v);
    visitor("proj_out", proj_out);
  }
};

/// Convolution that halves (stride 2) the size. LDM calls it "op" in denoisers and "conv" in
/// autoencoders.
struct Downsample {
  Conv2d conv;
  std::string_view name;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor(name, conv);
  }
};

/// Nearest-neighbour doubling followed by a 3x3 convolution.
struct Upsample {
  Conv2d conv;

  explicit Upsample(int64_t channels) : conv(channels, channels, 3) {}
  /// [B, C, H, W] -> [B, C, height, width], cut from 2 H x 2 W where that is larger (skips of odd
  /// size).
  Value operator()(Graph& graph, Value x, int64_t height, int64_t width) const;
  Value operator()(Graph& graph, Value x) const;  ///< [B, C, H, W] -> [B, C, 2 H, 2 W]

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("conv", conv);
  }
};

}  // namespace safelight::nn
