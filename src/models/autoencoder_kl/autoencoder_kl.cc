#include "models/autoencoder_kl/autoencoder_kl.h"

#include <string>

namespace safelight::models::autoencoder_kl {

using nn::Graph;
using nn::Value;

constexpr float kEpsilon = 1e-6F;

Encoder::Encoder(const Config& config)
    : conv_in(config.image_channels, config.channels.front(), 3),
      mid(config.channels.back()),
      norm_out(config.channels.back(), kEpsilon),
      conv_out(config.channels.back(), 2 * config.latent_channels, 3) {
  int64_t channels = config.channels.front();
  for (size_t i = 0; i < config.channels.size(); ++i) {
    Level level;
    for (int64_t j = 0; j < config.blocks; ++j) {
      level.block.emplace_back(channels, config.channels[i]);
      channels = config.channels[i];
    }
    // LDM pads below and to the right only before it halves the size.
    if (i + 1 < config.channels.size()) {
      level.downsample = nn::Downsample{nn::Conv2d(channels, channels, 3, 2, {0, 0, 1, 1}), "conv"};
    }
    down.push_back(std::move(level));
  }
}

Value Encoder::operator()(Graph& graph, Value x) const {
  x = conv_in(graph, x);
  graph.tap("vae.encoder.conv_in", x);
  for (size_t i = 0; i < down.size(); ++i) {
    for (const nn::ResBlock& block : down[i].block) x = block(graph, x);
    if (down[i].downsample) x = down[i].downsample->conv(graph, x);
    graph.tap("vae.encoder.down." + std::to_string(i), x);
  }
  x = mid(graph, x);
  graph.tap("vae.encoder.mid", x);
  return conv_out(graph, graph.silu(norm_out(graph, x)));
}

Decoder::Decoder(const Config& config)
    : conv_in(config.latent_channels, config.channels.back(), 3),
      mid(config.channels.back()),
      norm_out(config.channels.front(), kEpsilon),
      conv_out(config.channels.front(), config.image_channels, 3) {
  int64_t channels = config.channels.back();
  up.resize(config.channels.size());
  for (size_t i = up.size(); i-- > 0;) {
    for (int64_t j = 0; j <= config.blocks; ++j) {
      up[i].block.emplace_back(channels, config.channels[i]);
      channels = config.channels[i];
    }
    if (i > 0) up[i].upsample = nn::Upsample(channels);
  }
}

Value Decoder::head(Graph& graph, Value x, size_t level) const {
  x = conv_in(graph, x);
  graph.tap("vae.decoder.conv_in", x);
  x = mid(graph, x);
  graph.tap("vae.decoder.mid", x);
  for (size_t i = up.size(); i-- > level;) {
    for (const nn::ResBlock& block : up[i].block) x = block(graph, x);
    if (i > level) x = (*up[i].upsample)(graph, x);
    graph.tap("vae.decoder.up." + std::to_string(i), x);
  }
  return x;
}

Value Decoder::finish(Graph& graph, Value x, Value statistics) const {
  return conv_out(graph, graph.silu(norm_out(graph, x, statistics)));
}

AutoencoderKL::AutoencoderKL(const Config& sizes)
    : config(sizes),
      encoder(sizes),
      decoder(sizes),
      quant_conv(2 * sizes.latent_channels, 2 * sizes.latent_channels, 1),
      post_quant_conv(sizes.latent_channels, sizes.latent_channels, 1) {}

Value AutoencoderKL::encode(Graph& graph, Value image) const {
  const Value moments = quant_conv(graph, encoder(graph, image));
  graph.tap("vae.moments", moments);
  return moments;
}

Value AutoencoderKL::decode(Graph& graph, Value latent) const {
  const Value image = decoder.finish(graph, decode_head(graph, latent, 0));
  graph.tap("vae.decoded", image);
  return image;
}

Value AutoencoderKL::decode_head(Graph& graph, Value latent, size_t level) const {
  return decoder.head(graph, post_quant_conv(graph, latent), level);
}

}  // namespace safelight::models::autoencoder_kl
