#include "models/stable_diffusion/graphs.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace safelight::models::stable_diffusion {

using graph::Graph;
using graph::Numerics;
using graph::Value;

void build_text_encoder(Graph& graph, const clip::TextEncoder& encoder, const TextConfig& config,
                        int64_t tokens, int64_t clip_skip, bool learned) {
  const Value ids = graph.input("ids", {1, tokens}, Numerics::kF32);
  std::optional<clip::LearnedInputs> words;
  if (learned)
    words = {graph.input("kept", {1, tokens, 1}),
             graph.input("learned", {1, tokens, config.network.size})};
  if (!config.last_but_one) {
    graph.output("states", encoder(graph, ids, clip_skip, words));
    return;
  }
  const Value states = encoder.last_but_one(graph, ids, words);
  graph.output("states", states);
  if (config.network.pooled == 0) return;
  const Value end = graph.input("end", {1, tokens});
  graph.output("pooled", encoder.pool(graph, encoder.last(graph, states), end));
}

void build_vector(Graph& graph, int64_t pooled, int64_t facts) {
  const Value text = graph.input("pooled", {1, pooled}, Numerics::kF32);
  const Value numbers = graph.input("facts", {facts}, Numerics::kF32);
  Value told = graph.timestep_embedding(numbers, Config::kFactSize);  // [facts, kFactSize]
  told = graph.reshape(told, {1, facts * Config::kFactSize});         // [1, facts * kFactSize]
  graph.output("vector", graph.in_f32(graph.concat({text, told}, 1)));
}

void build_denoiser(Graph& graph, const unet::UNet& unet, int64_t pictures, int64_t height,
                    int64_t width, int64_t tokens, const DenoiserOptions& options) {
  const Value x =
      graph.input("x", {pictures, unet.config.in_channels, height, width}, Numerics::kF32);
  const Value timesteps = graph.input("timesteps", {pictures}, Numerics::kF32);
  std::vector<nn::KeyValue> keys;
  for (const int64_t size : unet.key_sizes()) {
    const std::string number = std::to_string(keys.size());
    const Value key = graph.input("key." + number, {pictures, tokens, size});
    keys.push_back({key, graph.input("value." + number, {pictures, tokens, size})});
  }
  unet::PassOptions pass{.token_merging = options.token_merging,
                         .outer_blocks = options.outer_blocks,
                         .perturbed = options.perturbed,
                         .attention_map = options.attention_map};
  if (unet.config.vector > 0)
    pass.vector = graph.input("vector", {pictures, unet.config.vector}, Numerics::kF32);
  if (options.shallow) {
    pass.cached =
        graph.input("inner", unet.cached_shape(pictures, height, width, options.outer_blocks));
  }
  graph.output("out", unet(graph, x, timesteps, keys, pass));
  if (options.shallow) return;
  const auto give_tap = [&](std::string_view tap, const char* name) {
    const auto found = std::find_if(graph.taps().begin(), graph.taps().end(),
                                    [&](const auto& each) { return each.name == tap; });
    if (found != graph.taps().end()) graph.output(name, found->value);
  };
  if (options.outer_blocks > 0) give_tap(unet::UNet::kInnerTap, "inner");
  if (options.attention_map) give_tap(unet::UNet::kAttentionTap, "attention");
}

namespace {

/// Latents as the autoencoder knows them.
Value unscaled_latents(Graph& graph, const autoencoder_kl::AutoencoderKL& autoencoder,
                       int64_t pictures, int64_t height, int64_t width) {
  const Value latent = graph.input(
      "latent", {pictures, autoencoder.config.latent_channels, height, width}, Numerics::kF32);
  const autoencoder_kl::Config& config = autoencoder.config;
  const Value unscaled = graph.affine(latent, 1 / config.scale, 0);
  if (config.latent_means.empty()) return unscaled;
  const auto by_channel = [&](const std::vector<float>& values) {
    return graph.constant(Tensor({1, config.latent_channels, 1, 1}, values));
  };
  return graph.add(graph.mul(unscaled, by_channel(config.latent_deviations)),
                   by_channel(config.latent_means));
}

}  // namespace

void build_decoder(Graph& graph, const autoencoder_kl::AutoencoderKL& autoencoder, int64_t pictures,
                   int64_t height, int64_t width) {
  const Value latent = unscaled_latents(graph, autoencoder, pictures, height, width);
  graph.output("image", autoencoder.decode(graph, latent));
}

Value build_decoder_head(Graph& graph, const autoencoder_kl::AutoencoderKL& autoencoder,
                         int64_t height, int64_t width, size_t level) {
  const Value latent = unscaled_latents(graph, autoencoder, 1, height, width);
  return autoencoder.decode_head(graph, latent, level);
}

}  // namespace safelight::models::stable_diffusion
