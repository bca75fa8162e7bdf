#include "pipelines/picture_decoder.h"

#include <algorithm>

#include "base/log.h"
#include "models/stable_diffusion/graphs.h"
#include "pipelines/banded_decoder.h"

namespace safelight::pipelines {

using engine::StopFlag;
using models::autoencoder_kl::AutoencoderKL;

PictureDecoder::PictureDecoder(engine::Engine& engine,
                               models::stable_diffusion::Bound<AutoencoderKL> bound,
                               std::function<bool()> make_room)
    : engine_(engine),
      make_room_(std::move(make_room)),
      network_(std::move(bound.network)),
      weights_(engine.load(std::move(bound.weights))) {}

Result<Tensor> PictureDecoder::decode(const Tensor& latents, const StopFlag* stop) {
  const int64_t factor = network_.config.factor();
  Tensor pictures({0, 3, latents.shape[2] * factor, latents.shape[3] * factor});
  const int64_t size = latents.size() / std::max<int64_t>(latents.shape[0], 1);
  for (int64_t i = 0; i < latents.shape[0]; ++i) {
    Tensor latent({1, latents.shape[1], latents.shape[2], latents.shape[3]});
    std::copy_n(latents.begin() + i * size, size, latent.begin());
    auto picture = decode_one(latent, stop);
    if (!picture) return picture.error();
    pictures.data.insert(pictures.data.end(), picture->begin(), picture->end());
    pictures.shape[0] += 1;
  }
  return pictures;
}

Result<Tensor> PictureDecoder::decode_one(const Tensor& latent, const StopFlag* stop) {
  const Size size{latent.shape[2], latent.shape[3]};
  if (!banded_.contains(size)) {
    const auto compile = [&] {
      return whole_.get(size, engine_, weights_, [&](graph::Graph& graph) {
        models::stable_diffusion::build_decoder(graph, network_, 1, size[0], size[1]);
      });
    };
    auto executable = compile();
    if (!executable && executable.error().code == ErrorCode::kOutOfMemory && make_room_())
      executable = compile();
    if (executable) {
      auto outputs = engine::run_once(**executable, {&latent}, 1, stop);
      if (!outputs) return outputs.error();
      return std::move((*outputs)[0]);
    }
    if (executable.error().code != ErrorCode::kOutOfMemory) return executable.error();
    spdlog::debug("decoding in bands: {}", executable.error().message);
    banded_.insert(size);
  }
  return BandedDecoder(engine_, network_, weights_).decode(latent, stop);
}

}  // namespace safelight::pipelines
