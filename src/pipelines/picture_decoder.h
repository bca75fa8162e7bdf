#pragma once

#include <array>
#include <functional>
#include <memory>
#include <set>

#include "engine/engine.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/executable_cache.h"

namespace safelight::pipelines {

/// An AutoencoderKL's decoder on an engine: pictures whole, or where the engine refuses that for
/// want of memory, in bands (see BandedDecoder).
class PictureDecoder {
 public:
  /// `make_room` frees what the caller can do without and tells whether that was anything; it is
  /// asked before a picture is decoded in bands.
  PictureDecoder(
      engine::Engine& engine,
      models::stable_diffusion::Bound<models::autoencoder_kl::AutoencoderKL> bound,
      std::function<bool()> make_room = [] { return false; });

  /// Latents [N, C, h, w] -> pictures [N, 3, H, W], one at a time, since the decoder's memory is
  /// the largest of all. Errors: kOutOfMemory where not even bands fit, kCancelled.
  Result<Tensor> decode(const Tensor& latents, const engine::StopFlag* stop);

  uint64_t bytes() const { return weights_->bytes(); }

 private:
  using Size = std::array<int64_t, 2>;

  Result<Tensor> decode_one(const Tensor& latent, const engine::StopFlag* stop);

  engine::Engine& engine_;
  std::function<bool()> make_room_;
  models::autoencoder_kl::AutoencoderKL network_;
  std::shared_ptr<engine::LoadedWeights> weights_;
  ExecutableCache<Size> whole_;
  std::set<Size> banded_;  // sizes that were too large to be decoded whole
};

}  // namespace safelight::pipelines
