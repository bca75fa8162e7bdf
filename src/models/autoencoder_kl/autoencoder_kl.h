#pragma once

#include "nn/blocks.h"

namespace safelight::models::autoencoder_kl {

/// Sizes of LDM's AutoencoderKL.
struct Config {
  std::vector<int64_t> channels{128, 256, 512, 512};  ///< of each level, largest picture first
  int64_t blocks = 2;  ///< residual blocks a level of the encoder; the decoder has one more
  int64_t latent_channels = 4;
  int64_t image_channels = 3;
  /// Denoisers see latents times this (LDM's scale_factor).
  float scale = 0.18215F;
  /// Where denoisers see each channel with these taken off and divided by (Playground v2.5), by
  /// channel; else empty.
  std::vector<float> latent_means = {}, latent_deviations = {};

  /// Pixels a latent covers along one side.
  int64_t factor() const { return int64_t{1} << (channels.size() - 1); }
};

struct Middle {
  nn::ResBlock block_1;
  nn::PixelAttention attn_1;
  nn::ResBlock block_2;

  explicit Middle(int64_t channels)
      : block_1(channels, channels), attn_1(channels), block_2(channels, channels) {}
  nn::Value operator()(nn::Graph& graph, nn::Value x) const {
    return block_2(graph, attn_1(graph, block_1(graph, x)));
  }

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("block_1", block_1);
    visitor("attn_1", attn_1);
    visitor("block_2", block_2);
  }
};

/// The blocks of one resolution.
struct Level {
  std::vector<nn::ResBlock> block;
  std::optional<nn::Downsample> downsample;
  std::optional<nn::Upsample> upsample;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("block", block);
    visitor("downsample", downsample);
    visitor("upsample", upsample);
  }
};

struct Encoder {
  nn::Conv2d conv_in;
  std::vector<Level> down;
  Middle mid;
  nn::GroupNorm norm_out;
  nn::Conv2d conv_out;

  explicit Encoder(const Config& config);
  nn::Value operator()(nn::Graph& graph, nn::Value image) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("conv_in", conv_in);
    visitor("down", down);
    visitor("mid", mid);
    visitor("norm_out", norm_out);
    visitor("conv_out", conv_out);
  }
};

struct Decoder {
  nn::Conv2d conv_in;
  Middle mid;
  std::vector<Level> up;  ///< by resolution as in the encoder; run from the last to the first
  nn::GroupNorm norm_out;
  nn::Conv2d conv_out;

  explicit Decoder(const Config& config);
  /// Everything up to and with the residual blocks of `level`, of which 0 is the largest picture.
  nn::Value head(nn::Graph& graph, nn::Value latent, size_t level) const;
  /// What follows the residual blocks of level 0. `statistics`: see nn::GroupNorm.
  nn::Value finish(nn::Graph& graph, nn::Value x, nn::Value statistics = {}) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("conv_in", conv_in);
    visitor("mid", mid);
    visitor("up", up);
    visitor("norm_out", norm_out);
    visitor("conv_out", conv_out);
  }
};

/// LDM's AutoencoderKL (Rombach et al. 2022) under its own names.
struct AutoencoderKL {
  Config config;
  Encoder encoder;
  Decoder decoder;
  nn::Conv2d quant_conv, post_quant_conv;

  explicit AutoencoderKL(const Config& config);
  /// image [B, 3, H, W] in [-1, 1] -> mean and log variance [B, 2 * latent, H / factor, W / factor]
  nn::Value encode(nn::Graph& graph, nn::Value image) const;
  /// latent [B, latent, h, w], unscaled -> image [B, 3, h * factor, w * factor], about [-1, 1]
  nn::Value decode(nn::Graph& graph, nn::Value latent) const;

  /// The beginning of decode(): the features [B, C, h * s, w * s] behind `level`, s = 2^(levels - 1
  /// - level)
  nn::Value decode_head(nn::Graph& graph, nn::Value latent, size_t level) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("encoder", encoder);
    visitor("decoder", decoder);
    visitor("quant_conv", quant_conv);
    visitor("post_quant_conv", post_quant_conv);
  }
};

}  // namespace safelight::models::autoencoder_kl
