#pragma once

#include <array>
#include <memory>

#include "engine/engine.h"
#include "models/taesd/taesd.h"
#include "pipelines/executable_cache.h"

namespace safelight::pipelines {

/// A tiny autoencoder's decoder on an engine: pictures nearly as the model's own decoder draws
/// them, in a hundredth of its time. One thread at a time.
class TaesdDecoder {
 public:
  TaesdDecoder(engine::Engine& engine, models::taesd::Model model)
      : engine_(engine),
        decoder_(std::move(model.decoder)),
        weights_(engine.load(std::move(model.weights))) {}

  int64_t latent_channels() const { return decoder_.config.latent_channels; }

  /// Latents [N, C, h, w] as samplers leave them -> pictures [N, 3, 8 h, 8 w], one at a time.
  /// Errors: kOutOfMemory, kCancelled.
  Result<Tensor> decode(const Tensor& latents, const engine::StopFlag* stop);

  uint64_t bytes() const { return weights_->bytes(); }

 private:
  engine::Engine& engine_;
  models::taesd::Decoder decoder_;
  std::shared_ptr<engine::LoadedWeights> weights_;
  ExecutableCache<std::array<int64_t, 2>> executables_;
};

}  // namespace safelight::pipelines
