#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/adapted_weights.h"
#include "pipelines/executable_cache.h"
#include "pipelines/latent_model.h"

namespace safelight::pipelines {

/// The text encoders of Stable Diffusion's families on an engine: from tokens to what the denoiser
/// reads. Their packed weights can be let go, and come back from the mapped files when they are
/// needed. One thread at a time.
class TextConditioner {
 public:
  TextConditioner(engine::Engine& engine, models::stable_diffusion::Config config,
                  std::vector<models::stable_diffusion::Bound<models::clip::TextEncoder>> text);

  /// See LatentModel::encode.
  Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks,
                              const EncodeOptions& options, const engine::StopFlag* stop);

  /// The encoders' weights, for LatentModel::set_adapters.
  using Weights =
      AdaptedWeights<ExecutableCache<std::pair<int64_t, bool>>>;  // clip skip, learned words
  std::vector<Weights*> weights();
  /// See LatentModel::text_identity.
  std::string identity() const;

  /// Lets the packed weights go; false where there were none.
  bool release();
  uint64_t bytes() const;

 private:
  struct Encoder {
    models::stable_diffusion::TextConfig config;
    models::clip::TextEncoder network;
    Weights weights;
  };
  /// What an encoder gives for a chunk.
  struct Encoded {
    Tensor states;  ///< [1, T, C]
    Tensor pooled;  ///< [1, P], of those that give it
  };

  Result<Encoded> run(Encoder& encoder, const text::TokenChunk& chunk, const EncodeOptions& options,
                      const engine::StopFlag* stop);
  /// Pooled text and facts in one vector [1, V].
  Result<Tensor> vector_of(const Tensor& pooled, const PictureFacts& facts,
                           const engine::StopFlag* stop);
  /// What an empty negative prompt is for families that have no words for it.
  Conditioning zeros(size_t chunks) const;

  engine::Engine& engine_;
  models::stable_diffusion::Config config_;
  std::vector<Encoder> encoders_;
  ExecutableCache<int64_t> vectors_;
};

}  // namespace safelight::pipelines
