#include "pipelines/stable_diffusion_model.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "models/names/adapter_names.h"
#include "models/stable_diffusion/graphs.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/adapted_weights.h"
#include "pipelines/executable_cache.h"
#include "pipelines/picture_decoder.h"
#include "pipelines/text_conditioner.h"

namespace safelight::pipelines {
namespace {

using engine::Executable;
using graph::Graph;
using graph::Value;

constexpr size_t kKeysInput = 2;  // the denoiser's first input of keys and values

/// `count` copies of [1, ...] as [count, ...].
void append_to_batch(const Tensor& one, Tensor& batch) {
  batch.data.insert(batch.data.end(), one.begin(), one.end());
  batch.shape[0] += 1;
}

/// Runs the whole network, or with `shallow` its outer blocks alone where what the inner ones gave
/// is less than `interval` steps old. All evaluations of a step are of one kind.
class UNetPredictor : public Predictor {
 public:
  UNetPredictor(std::shared_ptr<Executable> whole, std::shared_ptr<Executable> shallow,
                size_t inner_input, int64_t interval, int64_t pictures, bool maps)
      : whole_(std::move(whole)),
        shallow_(std::move(shallow)),
        inner_input_(inner_input),
        interval_(interval),
        maps_(maps),
        timesteps_({pictures}) {}

  Result<Tensor> operator()(const Tensor& x, double timestep,
                            const engine::StopFlag* stop) override {
    const bool reuses =
        shallow_ && whole_step_ && *whole_step_ < step_ && step_ < *whole_step_ + interval_;
    Executable& executable = reuses ? *shallow_ : *whole_;
    std::fill(timesteps_.begin(), timesteps_.end(), static_cast<float>(timestep));
    executable.set_input(0, x);
    executable.set_input(1, timesteps_);
    if (Status done = executable.run(stop); !done) return done.error();
    if (maps_ && !reuses) map_ = whole_->output(shallow_ ? 2 : 1);
    if (shallow_ && !reuses) {
      shallow_->set_input(inner_input_, whole_->output(1));
      whole_step_ = step_;
    }
    return executable.output(0);
  }

  void enter_step(int64_t step) override { step_ = step; }
  Tensor attention_map() const override { return map_; }

 private:
  std::shared_ptr<Executable> whole_, shallow_;
  size_t inner_input_;
  int64_t interval_, step_ = 0;
  bool maps_;                          // the whole network tells its attention
  std::optional<int64_t> whole_step_;  // the last one that ran the whole network
  Tensor timesteps_, map_;
};

/// For models that do not heed it: what requests may ask for, as SD WebUI lets them.
constexpr int64_t kMaxClipSkip = 24;

/// SD 2.x was published in both predictions, its inpainting model in one.
int64_t probe_width(const models::stable_diffusion::Config& config) {
  const bool is_2 = config.unet.head_size > 0 && config.unet.vector == 0;
  return is_2 && config.picture_channels() == 0 ? config.unet.context : 0;
}

/// Residual blocks that a level has on the way down, by which diffusers' names are numbered.
int64_t blocks_of(const models::unet::Config& config) {
  return static_cast<int64_t>(config.levels.front().down.size());
}

std::vector<int64_t> text_widths(const models::stable_diffusion::Config& config) {
  std::vector<int64_t> widths;
  for (const auto& text : config.text) widths.push_back(text.network.size);
  return widths;
}

ModelTraits traits_of(const models::stable_diffusion::Config& config,
                      const models::unet::UNet& unet) {
  return {
      .family = config.name,
      .latent_channels = config.autoencoder.latent_channels,
      .factor = config.autoencoder.factor(),
      .width = config.side,
      .height = config.side,
      .max_clip_skip = config.heeds_clip_skip ? config.text.front().network.layers : kMaxClipSkip,
      .text_widths = text_widths(config),
      .picture_channels = config.picture_channels(),
      .self_attentions = unet.self_attentions(),
      .schedule = diffusion::NoiseSchedule::sd1(),
      .aligned = config.facts > 0 ? diffusion::AlignedSteps::kSdxl : diffusion::AlignedSteps::kSd1,
      .tiny_decoder = config.unet.vector > 0 ? "taesdxl" : "taesd",
      .probe_width = probe_width(config)};
}

/// What was compiled for one set of the UNet's weights.
struct UNetExecutables {
  ExecutableCache<std::pair<std::array<int64_t, 4>, models::stable_diffusion::DenoiserOptions>>
      denoisers;
  ExecutableCache<int64_t> keys;

  void clear() {
    denoisers.clear();
    keys.clear();
  }
};

class StableDiffusionModel : public LatentModel {
 public:
  StableDiffusionModel(engine::Engine& engine, models::stable_diffusion::Model model)
      : engine_(engine),
        traits_(traits_of(model.config, model.unet.network)),
        text_(engine, model.config, std::move(model.text)),
        unet_(std::move(model.unet.network)),
        unet_weights_(
            engine, model.unet.weights,
            models::names::unet_adapter_names(model.unet.weights, blocks_of(model.config.unet))),
        decoder_(engine, std::move(model.autoencoder), [this] { return make_room(); }) {}

  const ModelTraits& traits() const override { return traits_; }
  void set_traits(ModelTraits traits) override { traits_ = std::move(traits); }
  uint64_t bytes() const override {
    return text_.bytes() + unet_weights_.bytes() + decoder_.bytes();
  }

  Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks,
                              const EncodeOptions& options, const engine::StopFlag* stop) override {
    auto encoded = text_.encode(chunks, options, stop);
    if (encoded || encoded.error().code != ErrorCode::kOutOfMemory) return encoded;
    // Beside a denoiser made ready for the picture before there may be no room.
    return unet_weights_.release() ? text_.encode(chunks, options, stop) : encoded;
  }

  Result<std::unique_ptr<Predictor>> predictor(
      const std::vector<const Conditioning*>& conditionings, int64_t height, int64_t width,
      const PassOptions& pass, const engine::StopFlag* stop) override {
    const auto pictures = static_cast<int64_t>(conditionings.size());
    const int64_t tokens = conditionings[0]->context.shape[1];
    const LessWork& less_work = pass.less_work;
    models::stable_diffusion::DenoiserOptions options{.token_merging = less_work.token_merging,
                                                      .perturbed = pass.perturbed,
                                                      .attention_map = pass.attention_map};
    if (less_work.cache_interval > 1)
      options.outer_blocks = std::min(less_work.cache_depth, unet_.most_outer_blocks());
    const auto make = [&](bool shallow) {
      options.shallow = shallow;
      return with_room([&] {
        auto& set = unet_weights_.current();
        return set.executables.denoisers.get(
            {{pictures, height, width, tokens}, options}, engine_, set.weights, [&](Graph& graph) {
              models::stable_diffusion::build_denoiser(graph, unet_, pictures, height, width,
                                                       tokens, options);
            });
      });
    };
    const auto whole = make(false);
    if (!whole) return whole.error();
    std::vector<std::shared_ptr<Executable>> executables{*whole};
    if (options.outer_blocks > 0) {
      const auto shallow = make(true);
      if (!shallow) return shallow.error();
      executables.push_back(*shallow);
    }
    if (Status set = set_keys(executables, conditionings, stop); !set) return set.error();
    size_t next_input = kKeysInput + 2 * unet_.key_sizes().size();
    if (unet_.config.vector > 0) {
      Tensor vectors({0, unet_.config.vector});
      for (const Conditioning* conditioning : conditionings)
        append_to_batch(conditioning->vector, vectors);
      for (const auto& executable : executables) executable->set_input(next_input, vectors);
      ++next_input;
    }
    executables.resize(2);
    return std::unique_ptr<Predictor>(
        std::make_unique<UNetPredictor>(executables[0], executables[1], next_input,
                                        less_work.cache_interval, pictures, pass.attention_map));
  }

  Status set_adapters(const std::vector<weights::AdapterUse>& uses) override {
    const std::vector<TextConditioner::Weights*> texts = text_.weights();
    std::vector<const weights::AdapterNames*> networks{&unet_weights_.names()};
    for (const TextConditioner::Weights* text : texts) networks.push_back(&text->names());
    for (const weights::AdapterUse& use : uses) {
      if (Status fits = weights::check_adapter_fits(*use.adapter, networks, traits_.family); !fits)
        return fits;
    }
    auto unet = unet_weights_.take(uses);
    if (!unet) return unet.error();
    std::vector<TextConditioner::Weights::Set> sets;
    for (TextConditioner::Weights* text : texts) {
      auto set = text->take(uses);
      if (!set) return set.error();
      sets.push_back(std::move(*set));
    }
    unet_weights_.use(std::move(*unet));
    for (size_t i = 0; i < texts.size(); ++i) texts[i]->use(std::move(sets[i]));
    return {};
  }
  std::string text_identity() const override { return text_.identity(); }

  Result<Tensor> decode(const Tensor& latents, const engine::StopFlag* stop) override {
    return decoder_.decode(latents, stop);
  }

 private:
  /// Compiles, and where memory is wanting, once more without the weights of adapters that do not
  /// act, and the text encoders' packed weights: what they had to give was computed before.
  template <class Compile>
  Result<std::shared_ptr<Executable>> with_room(Compile compile) {
    Result<std::shared_ptr<Executable>> compiled = compile();
    if (compiled || compiled.error().code != ErrorCode::kOutOfMemory || !make_room())
      return compiled;
    return compile();
  }

  bool make_room() {
    const bool idle = unet_weights_.drop_idle();
    return text_.release() || idle;
  }

  /// Computes keys and values of each distinct conditioning once and gives them to the denoisers.
  Status set_keys(const std::vector<std::shared_ptr<Executable>>& denoisers,
                  const std::vector<const Conditioning*>& conditionings,
                  const engine::StopFlag* stop) {
    const graph::Shape shape = conditionings[0]->context.shape;
    const auto executable = with_room([&] {
      auto& set = unet_weights_.current();
      return set.executables.keys.get(shape[1], engine_, set.weights, [&](Graph& graph) {
        const Value context = graph.input("context", shape);
        size_t i = 0;
        for (const auto& [key, value] : unet_.keys(graph, context)) {
          graph.output("key." + std::to_string(i), key);
          graph.output("value." + std::to_string(i++), value);
        }
      });
    });
    if (!executable) return executable.error();
    const size_t count = 2 * unet_.key_sizes().size();
    std::map<const Conditioning*, std::vector<Tensor>> computed;
    std::vector<Tensor> batch(count);
    for (const Conditioning* conditioning : conditionings) {
      std::vector<Tensor>& keys = computed[conditioning];
      if (keys.empty()) {
        auto outputs = engine::run_once(**executable, {&conditioning->context}, count, stop);
        if (!outputs) return outputs.error();
        keys = std::move(*outputs);
      }
      for (size_t i = 0; i < count; ++i) {
        if (batch[i].shape.empty()) batch[i] = Tensor({0, keys[i].shape[1], keys[i].shape[2]});
        append_to_batch(keys[i], batch[i]);
      }
    }
    for (const std::shared_ptr<Executable>& denoiser : denoisers) {
      for (size_t i = 0; i < count; ++i) denoiser->set_input(kKeysInput + i, batch[i]);
    }
    return {};
  }

  engine::Engine& engine_;
  ModelTraits traits_;
  TextConditioner text_;
  models::unet::UNet unet_;
  AdaptedWeights<UNetExecutables> unet_weights_;
  PictureDecoder decoder_;
};

}  // namespace

Result<std::unique_ptr<LatentModel>> load_stable_diffusion(engine::Engine& engine,
                                                           const weights::TensorIndex& index) {
  auto model = models::stable_diffusion::bind(index);
  if (!model) return model.error();
  return std::unique_ptr<LatentModel>(
      std::make_unique<StableDiffusionModel>(engine, std::move(*model)));
}

}  // namespace safelight::pipelines
