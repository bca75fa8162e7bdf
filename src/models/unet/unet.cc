#include "models/unet/unet.h"

#include <string>

namespace safelight::models::unet {
namespace {

using nn::Graph;
using nn::KeyValue;
using nn::Value;

std::optional<nn::SpatialTransformer> transformer(const Config& config, int64_t channels,
                                                  int64_t depth) {
  if (depth == 0) return std::nullopt;
  return nn::SpatialTransformer(channels, config.context, config.heads_of(channels), depth);
}

/// The state of a pass through the blocks.
struct Pass {
  Graph& graph;
  Value embedding;
  const KeyValue* keys;
  const PassOptions& options;
  int64_t attention = 0;       // the number of the next self-attention
  int64_t merging_height = 0;  // where tokens are merged: that of the first transformer

  /// `height` and `width`: of the skip that meets the result, for the block that doubles the size.
  Value run(const Block& block, Value x, int64_t height = 0, int64_t width = 0,
            Value* received = nullptr) {
    if (block.conv) x = (*block.conv)(graph, x);
    if (block.res) x = (*block.res)(graph, x, embedding);
    if (block.transformer) {
      const int64_t rows = graph.shape(x)[2];
      if (merging_height == 0) merging_height = rows;
      x = (*block.transformer)(graph, x, keys,
                               {.merging = rows == merging_height ? options.token_merging : 0,
                                .identity = perturbed(*block.transformer),
                                .received = received});
      skip_keys(block);
    }
    if (block.second_res) x = (*block.second_res)(graph, x, embedding);
    if (block.down) x = block.down->conv(graph, x);
    if (block.up) x = (*block.up)(graph, x, height, width);
    return x;
  }

  /// Goes on to the keys of the block that follows.
  void skip_keys(const Block& block) {
    if (!block.transformer) return;
    keys += block.transformer->transformer_blocks.size();
    attention += static_cast<int64_t>(block.transformer->transformer_blocks.size());
  }

  /// The blocks of the next transformer whose self-attention is perturbed.
  std::vector<size_t> perturbed(const nn::SpatialTransformer& transformer) const {
    std::vector<size_t> found;
    for (const int64_t number : options.perturbed) {
      const int64_t block = number - attention;
      if (block >= 0 && block < static_cast<int64_t>(transformer.transformer_blocks.size()))
        found.push_back(static_cast<size_t>(block));
    }
    return found;
  }
};

}  // namespace

UNet::UNet(const Config& sizes)
    : config(sizes),
      time_embed{nn::Linear(sizes.model_channels, 4 * sizes.model_channels),
                 nn::Linear(4 * sizes.model_channels, 4 * sizes.model_channels)},
      out{nn::GroupNorm(sizes.levels[0].channels, 1e-5F),
          nn::Conv2d(sizes.levels[0].channels, sizes.out_channels, 3)} {
  const int64_t embedding = 4 * sizes.model_channels;
  if (sizes.vector > 0)
    label_emb = {nn::Linear(sizes.vector, embedding), nn::Linear(embedding, embedding)};
  int64_t channels = sizes.model_channels;
  std::vector<int64_t> skips{channels};
  input_blocks.push_back({.conv = nn::Conv2d(sizes.in_channels, channels, 3)});
  for (size_t level = 0; level < sizes.levels.size(); ++level) {
    const int64_t width = sizes.levels[level].channels;
    for (const int64_t depth : sizes.levels[level].down) {
      input_blocks.push_back({.res = nn::TimestepResBlock(channels, width, embedding),
                              .transformer = transformer(sizes, width, depth)});
      channels = width;
      skips.push_back(channels);
    }
    if (level + 1 < sizes.levels.size()) {
      input_blocks.push_back(
          {.down = nn::Downsample{nn::Conv2d(channels, channels, 3, 2, graph::Padding::same(1)),
                                  "op"}});
      skips.push_back(channels);
    }
  }
  if (sizes.middle_blocks > 0)
    middle_block.res = nn::TimestepResBlock(channels, channels, embedding);
  middle_block.transformer = transformer(sizes, channels, sizes.middle_depth);
  if (sizes.middle_blocks > 1)
    middle_block.second_res = nn::TimestepResBlock(channels, channels, embedding);
  for (size_t level = sizes.levels.size(); level-- > 0;) {
    const LevelConfig& blocks = sizes.levels[level];
    for (size_t i = 0; i < blocks.up.size(); ++i) {
      Block block{.res = nn::TimestepResBlock(channels + skips.back(), blocks.channels, embedding),
                  .transformer = transformer(sizes, blocks.channels, blocks.up[i])};
      skips.pop_back();
      channels = blocks.channels;
      if (level > 0 && i + 1 == blocks.up.size()) block.up = nn::Upsample(channels);
      output_blocks.push_back(std::move(block));
    }
  }
}

std::vector<const nn::SpatialTransformer*> UNet::transformers() const {
  std::vector<const nn::SpatialTransformer*> found;
  const auto look = [&](const Block& block) {
    if (block.transformer) found.push_back(&*block.transformer);
  };
  for (const Block& block : input_blocks) look(block);
  look(middle_block);
  for (const Block& block : output_blocks) look(block);
  return found;
}

SelfAttentions UNet::self_attentions() const {
  const auto count = [](const Block& block) {
    return block.transformer ? static_cast<int64_t>(block.transformer->transformer_blocks.size())
                             : 0;
  };
  SelfAttentions found{.middle = count(middle_block)};
  for (const Block& block : input_blocks) found.down += count(block);
  for (const Block& block : output_blocks) found.up += count(block);
  return found;
}

std::vector<KeyValue> UNet::keys(Graph& graph, Value context) const {
  std::vector<KeyValue> all;
  for (const nn::SpatialTransformer* transformer : transformers()) {
    for (const nn::CrossTransformerBlock& block : transformer->transformer_blocks) {
      all.push_back(block.attn2.keys(graph, context));
    }
  }
  return all;
}

std::vector<int64_t> UNet::key_sizes() const {
  std::vector<int64_t> sizes;
  for (const nn::SpatialTransformer* transformer : transformers()) {
    for (const nn::CrossTransformerBlock& block : transformer->transformer_blocks) {
      sizes.push_back(block.attn2.to_k.weight.shape[0]);
    }
  }
  return sizes;
}

graph::Shape UNet::cached_shape(int64_t pictures, int64_t height, int64_t width,
                                int64_t outer_blocks) const {
  for (int64_t i = 0; i < outer_blocks; ++i) {
    if (!input_blocks[static_cast<size_t>(i)].down) continue;
    height = (height + 1) / 2;
    width = (width + 1) / 2;
  }
  const Block& last = output_blocks[output_blocks.size() - static_cast<size_t>(outer_blocks) - 1];
  return {pictures, last.res->out_layers.conv.weight.shape[0], height, width};
}

Value UNet::operator()(Graph& graph, Value x, Value timesteps, const std::vector<KeyValue>& keys,
                       const PassOptions& options) const {
  Value embedding =
      graph.timestep_embedding(timesteps, config.model_channels);  // [B, model_channels]
  embedding = time_embed.second(graph, graph.silu(time_embed.first(graph, embedding)));
  if (label_emb) {
    const Value told = label_emb->first(graph, options.vector);  // [B, 4 * model_channels]
    embedding = graph.add(embedding, label_emb->second(graph, graph.silu(told)));
  }
  Pass pass{graph, embedding, keys.data(), options};
  const bool whole = !options.cached.valid();
  const size_t outer = static_cast<size_t>(options.outer_blocks), blocks = output_blocks.size();
  std::vector<Value> skips;
  for (size_t i = 0; i < input_blocks.size(); ++i) {
    if (!whole && i >= outer) {
      pass.skip_keys(input_blocks[i]);
      continue;
    }
    x = pass.run(input_blocks[i], x);
    graph.tap("unet.input_blocks." + std::to_string(i), x);
    skips.push_back(x);
  }
  if (whole) {
    Value received;
    const graph::Shape size = graph.shape(x);
    x = pass.run(middle_block, x, 0, 0, options.attention_map ? &received : nullptr);
    graph.tap("unet.middle_block", x);
    if (received.valid()) {
      graph.tap(kAttentionTap, graph.in_f32(graph.reshape(received, {size[0], size[2], size[3]})));
    }
  } else {
    pass.skip_keys(middle_block);
    x = options.cached;
  }
  for (size_t i = 0; i < blocks; ++i) {
    if (!whole && i + outer < blocks) {
      pass.skip_keys(output_blocks[i]);
      continue;
    }
    if (i + outer == blocks) graph.tap(kInnerTap, x);
    x = graph.concat({x, skips.back()}, 1);  // [B, C + skip, H, W]
    skips.pop_back();
    const graph::Shape next = skips.empty() ? graph.shape(x) : graph.shape(skips.back());
    x = pass.run(output_blocks[i], x, next[2], next[3]);
    graph.tap("unet.output_blocks." + std::to_string(i), x);
  }
  x = out.conv(graph, graph.silu(out.norm(graph, x)));
  graph.tap("unet.out", x);
  return x;
}

}  // namespace safelight::models::unet
