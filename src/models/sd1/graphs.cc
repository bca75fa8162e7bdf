#include "models/sd1/graphs.h"

#include <string>

namespace safelight::models::sd1 {

using graph::Graph;
using graph::Numerics;
using graph::Value;

void build_denoiser(Graph& graph, const unet::UNet& unet, int64_t pictures, int64_t height,
                    int64_t width, int64_t tokens) {
  const Value x =
      graph.input("x", {pictures, unet.config.in_channels, height, width}, Numerics::kF32);
  const Value timesteps = graph.input("timesteps", {pictures}, Numerics::kF32);
  std::vector<nn::KeyValue> keys;
  for (const int64_t size : unet.key_sizes()) {
    const std::string number = std::to_string(keys.size());
    const Value key = graph.input("key." + number, {pictures, tokens, size});
    keys.push_back({key, graph.input("value." + number, {pictures, tokens, size})});
  }
  graph.output("out", unet(graph, x, timesteps, keys));
}

void build_decoder(Graph& graph, const autoencoder_kl::AutoencoderKL& autoencoder, int64_t pictures,
                   int64_t height, int64_t width) {
  const Value latent = graph.input(
      "latent", {pictures, autoencoder.config.latent_channels, height, width}, Numerics::kF32);
  graph.output("image", autoencoder.decode(graph, graph.affine(latent, 1 / kLatentScale, 0)));
}

}  // namespace safelight::models::sd1
