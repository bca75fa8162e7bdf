#include "pipelines/sd1_model.h"

#include <algorithm>
#include <map>

#include "models/sd1/graphs.h"
#include "models/sd1/sd1.h"

namespace safelight::pipelines {
namespace {

using engine::Executable;
using graph::Graph;
using graph::Value;

/// Compiled graphs by their shape; the least recently made goes when there are too many.
template <class Key>
class ExecutableCache {
 public:
  /// The executable for `key`; `build` makes its graph.
  template <class Build>
  Result<Executable*> get(const Key& key, engine::Engine& engine,
                          const std::shared_ptr<engine::LoadedWeights>& weights, Build build) {
    const auto found = executables_.find(key);
    if (found != executables_.end()) return found->second.get();
    Graph graph;
    build(graph);
    auto compiled = engine.compile(graph, weights);
    if (!compiled) return compiled.error();
    if (order_.size() >= kKept) {
      executables_.erase(order_.front());
      order_.erase(order_.begin());
    }
    order_.push_back(key);
    return (executables_[key] = std::move(*compiled)).get();
  }

 private:
  static constexpr size_t kKept = 4;
  std::map<Key, std::unique_ptr<Executable>> executables_;
  std::vector<Key> order_;
};

/// A network, its weights on the engine, and its compiled graphs.
template <class Network, class Key>
struct Part {
  Network network;
  std::shared_ptr<engine::LoadedWeights> weights;
  ExecutableCache<Key> executables;

  Part(engine::Engine& engine, models::sd1::Bound<Network> bound)
      : network(std::move(bound.network)), weights(engine.load(std::move(bound.weights))) {}
};

/// `count` copies of [1, ...] as [count, ...].
void append_to_batch(const Tensor& one, Tensor& batch) {
  batch.data.insert(batch.data.end(), one.begin(), one.end());
  batch.shape[0] += 1;
}

class Sd1Predictor : public Predictor {
 public:
  explicit Sd1Predictor(Executable* executable, int64_t pictures)
      : executable_(executable), timesteps_({pictures}) {}

  Result<Tensor> operator()(const Tensor& x, double timestep,
                            const engine::StopFlag* stop) override {
    std::fill(timesteps_.begin(), timesteps_.end(), static_cast<float>(timestep));
    executable_->set_input(0, x);
    executable_->set_input(1, timesteps_);
    if (Status done = executable_->run(stop); !done) return done.error();
    return executable_->output(0);
  }

 private:
  Executable* executable_;
  Tensor timesteps_;
};

class Sd1Model : public LatentModel {
 public:
  Sd1Model(engine::Engine& engine, models::sd1::Model model)
      : engine_(engine),
        traits_{.family = "Stable Diffusion 1.x",
                .latent_channels = model.config.autoencoder.latent_channels,
                .factor = model.config.autoencoder.factor(),
                .max_clip_skip = model.config.text.layers,
                .schedule = diffusion::NoiseSchedule::sd1()},
        text_(engine, std::move(model.text)),
        unet_(engine, std::move(model.unet)),
        autoencoder_(engine, std::move(model.autoencoder)) {}

  const ModelTraits& traits() const override { return traits_; }
  void set_own_size(int64_t width, int64_t height) override {
    traits_.width = width;
    traits_.height = height;
  }
  uint64_t bytes() const override {
    return text_.weights->bytes() + unet_.weights->bytes() + autoencoder_.weights->bytes();
  }

  Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks, int64_t clip_skip,
                              text::Emphasis emphasis, const engine::StopFlag* stop) override {
    const auto executable =
        text_.executables.get(clip_skip, engine_, text_.weights, [&](Graph& graph) {
          const Value ids =
              graph.input("ids", {1, static_cast<int64_t>(text::kContext)}, graph::Numerics::kF32);
          graph.output("encoded", text_.network(graph, ids, clip_skip));
        });
    if (!executable) return executable.error();
    Conditioning joined({1, 0, 0});
    for (const text::TokenChunk& chunk : chunks) {
      Tensor ids({1, static_cast<int64_t>(text::kContext)});
      std::copy(chunk.tokens.begin(), chunk.tokens.end(), ids.begin());
      (*executable)->set_input(0, ids);
      if (Status done = (*executable)->run(stop); !done) return done.error();
      Tensor encoded = (*executable)->output(0);
      text::emphasise(encoded, chunk.weights, emphasis);
      joined.data.insert(joined.data.end(), encoded.begin(), encoded.end());
      joined.shape[1] += encoded.shape[1];
      joined.shape[2] = encoded.shape[2];
    }
    return joined;
  }

  Result<std::unique_ptr<Predictor>> predictor(
      const std::vector<const Conditioning*>& conditionings, int64_t height, int64_t width,
      const engine::StopFlag* stop) override {
    const auto pictures = static_cast<int64_t>(conditionings.size());
    const int64_t tokens = conditionings[0]->shape[1];
    const auto executable = unet_.executables.get(
        {pictures, height, width, tokens}, engine_, unet_.weights, [&](Graph& graph) {
          models::sd1::build_denoiser(graph, unet_.network, pictures, height, width, tokens);
        });
    if (!executable) return executable.error();
    if (Status set = set_keys(**executable, conditionings, stop); !set) return set.error();
    return std::unique_ptr<Predictor>(std::make_unique<Sd1Predictor>(*executable, pictures));
  }

  Result<Tensor> decode(const Tensor& latents, const engine::StopFlag* stop) override {
    const int64_t height = latents.shape[2], width = latents.shape[3],
                  size = latents.size() / latents.shape[0];
    const auto executable = autoencoder_.executables.get(
        {height, width}, engine_, autoencoder_.weights, [&](Graph& graph) {
          models::sd1::build_decoder(graph, autoencoder_.network, 1, height, width);
        });
    if (!executable) return executable.error();
    // One picture at a time: the decoder's memory is the largest of all.
    Tensor pictures({0, 3, height * traits_.factor, width * traits_.factor});
    for (int64_t i = 0; i < latents.shape[0]; ++i) {
      Tensor latent({1, latents.shape[1], height, width});
      std::copy_n(latents.begin() + i * size, size, latent.begin());
      (*executable)->set_input(0, latent);
      if (Status done = (*executable)->run(stop); !done) return done.error();
      append_to_batch((*executable)->output(0), pictures);
    }
    return pictures;
  }

 private:
  /// Computes keys and values of each distinct conditioning once and gives them to the denoiser.
  Status set_keys(Executable& denoiser, const std::vector<const Conditioning*>& conditionings,
                  const engine::StopFlag* stop) {
    const graph::Shape shape = conditionings[0]->shape;
    const auto executable = keys_.get(shape[1], engine_, unet_.weights, [&](Graph& graph) {
      const Value context = graph.input("context", shape);
      size_t i = 0;
      for (const auto& [key, value] : unet_.network.keys(graph, context)) {
        graph.output("key." + std::to_string(i), key);
        graph.output("value." + std::to_string(i++), value);
      }
    });
    if (!executable) return executable.error();
    const size_t count = 2 * unet_.network.key_sizes().size();
    std::map<const Conditioning*, std::vector<Tensor>> computed;
    std::vector<Tensor> batch(count);
    for (const Conditioning* conditioning : conditionings) {
      std::vector<Tensor>& keys = computed[conditioning];
      if (keys.empty()) {
        auto outputs = engine::run_once(**executable, {conditioning}, count, stop);
        if (!outputs) return outputs.error();
        keys = std::move(*outputs);
      }
      for (size_t i = 0; i < count; ++i) {
        if (batch[i].shape.empty()) batch[i] = Tensor({0, keys[i].shape[1], keys[i].shape[2]});
        append_to_batch(keys[i], batch[i]);
      }
    }
    for (size_t i = 0; i < count; ++i) denoiser.set_input(2 + i, batch[i]);
    return {};
  }

  engine::Engine& engine_;
  ModelTraits traits_;
  Part<models::clip::TextEncoder, int64_t> text_;
  Part<models::unet::UNet, std::array<int64_t, 4>> unet_;
  ExecutableCache<int64_t> keys_;
  Part<models::autoencoder_kl::AutoencoderKL, std::array<int64_t, 2>> autoencoder_;
};

}  // namespace

Result<std::unique_ptr<LatentModel>> load_sd1(engine::Engine& engine,
                                              const weights::TensorIndex& index) {
  auto model = models::sd1::bind(index);
  if (!model) return model.error();
  return std::unique_ptr<LatentModel>(std::make_unique<Sd1Model>(engine, std::move(*model)));
}

}  // namespace safelight::pipelines
