#pragma once

#include "base/result.h"
#include "nn/layers.h"
#include "weights/tensor_index.h"

namespace safelight::models::taesd {

/// Sizes of a tiny autoencoder; those published are 64 wide.
struct Config {
  int64_t channels = 64, latent_channels = 4;
};

/// Three convolutions beside the identity.
struct Block {
  nn::Conv2d conv0, conv2, conv4;

  explicit Block(int64_t channels)
      : conv0(channels, channels, 3), conv2(channels, channels, 3), conv4(channels, channels, 3) {}
  nn::Value operator()(nn::Graph& graph, nn::Value x) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("conv.0", conv0);
    visitor("conv.2", conv2);
    visitor("conv.4", conv4);
  }
};

/// What follows a doubling: a convolution without bias.
struct DoublingConv {
  nn::Param weight;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("weight", weight);
  }
};

/// The decoder of TAESD and TAESDXL (madebyollin/taesd) under its own names, which are places in a
/// sequence of layers; those without weights have places too.
struct Decoder {
  static constexpr int64_t kFactor = 8;  ///< pixels a latent covers along one side
  /// The blocks of one resolution, and what leads to the next.
  struct Stage {
    std::vector<Block> blocks;
    std::optional<DoublingConv> doubling;
  };

  Config config;
  nn::Conv2d conv_in;
  std::vector<Stage> stages;  ///< the smallest picture first
  nn::Conv2d conv_out;

  explicit Decoder(const Config& sizes);
  /// latents [B, C, h, w] as samplers leave them -> pictures [B, 3, 8 h, 8 w], about [-1, 1]
  nn::Value operator()(nn::Graph& graph, nn::Value latent) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("1", conv_in);
    int64_t place = 3;
    for (Stage& stage : stages) {
      for (Block& block : stage.blocks) visitor(std::to_string(place++), block);
      if (!stage.doubling) continue;
      ++place;  // of the doubling itself
      visitor(std::to_string(place++), *stage.doubling);
    }
    visitor(std::to_string(place), conv_out);
  }
};

/// The decoder and its weights, nothing read yet.
struct Model {
  Decoder decoder;
  weights::BoundWeights weights;
};

/// Whether the tensors are those of such a decoder, under its own or diffusers' names.
bool matches(const weights::TensorIndex& index);

/// Takes the sizes from the tensors' shapes. Errors: kUnsupported where the tensors do not match;
/// kCorruptFile naming the tensor that is missing or does not fit.
Result<Model> bind(const weights::TensorIndex& index);

}  // namespace safelight::models::taesd
