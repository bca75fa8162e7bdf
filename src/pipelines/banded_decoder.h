#pragma once

#include <functional>
#include <vector>

#include "engine/engine.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "pipelines/feature_store.h"

namespace safelight::pipelines {

/// Decodes a picture in little memory, exactly: the small resolutions whole, the large ones in
/// bands of rows, one convolution after the other over the whole picture, so that every group norm
/// has the statistics of the whole. Takes longer than decoding whole (docs/speed.md).
class BandedDecoder {
 public:
  BandedDecoder(engine::Engine& engine, const models::autoencoder_kl::AutoencoderKL& network,
                std::shared_ptr<engine::LoadedWeights> weights)
      : engine_(engine), network_(network), weights_(std::move(weights)) {}

  /// A latent [1, C, h, w] as samplers leave it -> the picture [1, 3, H, W]. Errors: kOutOfMemory
  /// where not even bands fit, kIo of temporary files, kCancelled.
  Result<Tensor> decode(const Tensor& latent, const engine::StopFlag* stop);

 private:
  /// What a band's graph gives: images to store, and one of which the group statistics are wanted.
  struct Built {
    std::vector<graph::Value> stored;
    graph::Value measured{};
  };
  /// One pass over the picture.
  struct Stage {
    const FeatureStore* input;             ///< read with one row more at each end
    const FeatureStore* beside = nullptr;  ///< read as it is, of the size of the outputs
    const Tensor* statistics = nullptr;    ///< [1, groups, 2] for the norm
    int64_t scale = 1;                     ///< rows of an output for one of the input
    std::vector<FeatureStore*> outputs;    ///< may be `beside`
    std::function<Built(graph::Graph&, graph::Value input, graph::Value beside,
                        graph::Value statistics)>
        build;
  };

  /// The features of a level and the statistics of their groups.
  struct Features {
    FeatureStore store;
    Tensor statistics;
  };

  Result<FeatureStore> head(const Tensor& latent, size_t level, const engine::StopFlag* stop);
  /// Features of level + 1 -> those of `level`.
  Result<Features> run_level(size_t level, const FeatureStore& below, const engine::StopFlag* stop);
  Result<Tensor> finish(const Features& features, const engine::StopFlag* stop);
  /// Gives the statistics of the image measured, if there is one.
  Result<Tensor> run(const Stage& stage, const engine::StopFlag* stop);
  Result<Tensor> run_bands(const Stage& stage, int64_t useful, const engine::StopFlag* stop);

  engine::Engine& engine_;
  const models::autoencoder_kl::AutoencoderKL& network_;
  std::shared_ptr<engine::LoadedWeights> weights_;
};

}  // namespace safelight::pipelines
