#pragma once

#include "models/unet/self_attentions.h"
#include "nn/blocks.h"
#include "nn/transformer.h"

namespace safelight::models::unet {

/// One resolution of a UNet: the transformer blocks behind each residual block, 0 for none.
struct LevelConfig {
  int64_t channels = 0;
  std::vector<int64_t> down;  ///< of each residual block on the way down
  std::vector<int64_t> up;    ///< and on the way up, in running order; one more than `down`
};

/// Sizes of a Stable Diffusion UNet (Rombach et al. 2022).
struct Config {
  int64_t in_channels = 4, out_channels = 4;
  int64_t model_channels = 320;
  std::vector<LevelConfig> levels;
  int64_t middle_blocks = 2;  ///< residual blocks in the middle; distilled models have one or none
  int64_t middle_depth = 1;   ///< transformer blocks between them
  int64_t context = 768;
  int64_t vector = 0;     ///< numbers told of text and picture in one vector (SDXL); 0 for none
  int64_t heads = 8;      ///< of every transformer, when head_size is 0
  int64_t head_size = 0;  ///< channels / heads where fixed (SD 2, SDXL)

  int64_t heads_of(int64_t channels) const { return head_size > 0 ? channels / head_size : heads; }
  /// `depth` of every residual block in a level: the regular form.
  static LevelConfig level(int64_t channels, int64_t blocks, int64_t depth) {
    const auto count = static_cast<size_t>(blocks);
    return {channels, std::vector<int64_t>(count, depth), std::vector<int64_t>(count + 1, depth)};
  }
};

/// An entry of input_blocks, middle_block or output_blocks: what it has runs in this order,
/// numbered as in LDM.
struct Block {
  std::optional<nn::Conv2d> conv;
  std::optional<nn::TimestepResBlock> res;
  std::optional<nn::SpatialTransformer> transformer;
  std::optional<nn::TimestepResBlock> second_res;
  std::optional<nn::Downsample> down;
  std::optional<nn::Upsample> up;

  template <class Visitor>
  void visit(Visitor& visitor) {
    int number = 0;
    const auto next = [&](auto& part) {
      if (part) visitor(std::to_string(number++), *part);
    };
    next(conv);
    next(res);
    next(transformer);
    next(second_res);
    next(down);
    next(up);
  }
};

/// What a pass is told beside its main inputs, and ways to do less in it, each at the cost of
/// another result.
struct PassOptions {
  /// Which part of the tokens is merged for self-attention, at the largest resolution with
  /// transformers.
  double token_merging = 0;
  /// DeepCache (Ma et al. 2023): the outermost blocks, so many at the input and as many at the
  /// output, run in every pass; the inner ones only where `cached` is invalid. 0: all of them run.
  int64_t outer_blocks = 0;
  nn::Value cached{};  ///< what the inner blocks gave in an earlier pass, of UNet::cached_shape()
  nn::Value vector{};  ///< [B, config.vector] where the network has a label embedding
  /// Self-attentions, numbered from 0 in the order of the network, whose tokens attend to
  /// themselves alone (Ahn et al. 2024). Tokens are not merged there.
  std::vector<int64_t> perturbed;
  /// Taps what each token of the middle block receives from all others in its first
  /// self-attention; tokens are not merged there.
  bool attention_map = false;
};

/// The denoiser of Stable Diffusion under LDM's names.
struct UNet {
  struct TimeEmbed {
    nn::Linear first, second;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("0", first);
      visitor("2", second);
    }
  };
  /// What SDXL adds to the embedding of the timestep.
  struct LabelEmbed {
    nn::Linear first, second;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("0.0", first);
      visitor("0.2", second);
    }
  };
  struct Out {
    nn::GroupNorm norm;
    nn::Conv2d conv;
    template <class Visitor>
    void visit(Visitor& visitor) {
      visitor("0", norm);
      visitor("2", conv);
    }
  };
  Config config;
  TimeEmbed time_embed;
  std::optional<LabelEmbed> label_emb;
  std::vector<Block> input_blocks;
  Block middle_block;
  std::vector<Block> output_blocks;
  Out out;

  explicit UNet(const Config& config);

  /// Keys and values of every cross-attention for a context [B, T, context], in the order of the
  /// network.
  std::vector<nn::KeyValue> keys(nn::Graph& graph, nn::Value context) const;
  /// Channels of each entry of keys().
  std::vector<int64_t> key_sizes() const;

  /// x [B, in, H, W], timesteps [B] (fractions allowed), keys() -> what the network predicts [B,
  /// out, H, W]. PassOptions::vector is needed where config.vector is.
  nn::Value operator()(nn::Graph& graph, nn::Value x, nn::Value timesteps,
                       const std::vector<nn::KeyValue>& keys,
                       const PassOptions& options = {}) const;
  /// The tap with what the inner blocks give when they run.
  static constexpr const char* kInnerTap = "unet.inner";
  /// Its shape, for pictures of height x width latents; outer_blocks in [1, most_outer_blocks()].
  graph::Shape cached_shape(int64_t pictures, int64_t height, int64_t width,
                            int64_t outer_blocks) const;
  /// The tap with PassOptions::attention_map [B, rows, columns] where the middle block runs.
  static constexpr const char* kAttentionTap = "unet.attention_map";
  SelfAttentions self_attentions() const;
  int64_t most_outer_blocks() const { return static_cast<int64_t>(output_blocks.size()) - 1; }

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("time_embed", time_embed);
    visitor("label_emb", label_emb);
    visitor("input_blocks", input_blocks);
    visitor("middle_block", middle_block);
    visitor("output_blocks", output_blocks);
    visitor("out", out);
  }

 private:
  std::vector<const nn::SpatialTransformer*> transformers() const;
};

}  // namespace safelight::models::unet
