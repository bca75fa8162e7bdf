#include "bench/sd/model.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "base/random.h"
#include "bench/sd/process.h"
#include "bench/sd/products.h"
#include "models/stable_diffusion/graphs.h"
#include "nn/module.h"
#include "pipelines/stable_diffusion_model.h"
#include "weights/open_weights.h"

namespace safelight::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kFactor = 8;     // pixels of a latent
constexpr double kTimestep = 500;  // any will do

Tensor random_latents(int64_t pictures, const Workload& workload) {
  Tensor latents({pictures, 4, workload.height / kFactor, workload.width / kFactor});
  TorchGenerator(1).randn(latents.data);
  return latents;
}

Status check_finite(const Result<Tensor>& result, const char* what) {
  if (!result) return result.error();
  const bool finite =
      std::all_of(result->begin(), result->end(), [](float value) { return std::isfinite(value); });
  if (finite) return {};
  return Error{ErrorCode::kInternal, std::string("the ") + what + " gave NaN or infinite values"};
}

Result<Timing> time_runs(engine::Engine& engine, int repeats, const std::function<Status()>& run) {
  Timing timing;
  for (int i = 0; i <= repeats; ++i) {
    const auto begin = Clock::now();
    if (Status done = run(); !done) return done.error();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (i == 0) {
      timing.first = seconds;
      engine.clear_profile();
    } else {
      timing.seconds.push_back(seconds);
    }
  }
  timing.kinds = engine.profile().kinds();
  timing.layers = engine.profile().layers();
  timing.peak_memory = peak_memory();
  return timing;
}

}  // namespace

graph::Graph step_graph(const Workload& workload) {
  models::unet::UNet unet(workload.family->config.unet);
  nn::name_params(unet, "");
  graph::Graph graph;
  models::stable_diffusion::build_denoiser(graph, unet, workload.denoised(),
                                           workload.height / kFactor, workload.width / kFactor,
                                           text::kContext);
  return graph;
}

graph::Graph decode_graph(const Workload& workload) {
  models::autoencoder_kl::AutoencoderKL autoencoder(workload.family->config.autoencoder);
  nn::name_params(autoencoder, "");
  graph::Graph graph;
  models::stable_diffusion::build_decoder(graph, autoencoder, 1, workload.height / kFactor,
                                          workload.width / kFactor);
  return graph;
}

double Timing::median() const {
  if (seconds.empty()) return first;
  std::vector<double> sorted = seconds;
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

Result<std::unique_ptr<Model>> Model::open(const std::filesystem::path& path,
                                           const engine::EngineOptions& options) {
  auto engine = engine::make_engine("cpu", options);
  if (!engine) return engine.error();
  auto index = weights::open_weights(path);
  if (!index) return index.error();
  auto loaded = pipelines::load_stable_diffusion(**engine, *index);
  if (!loaded) return loaded.error();
  auto model = std::make_unique<Model>();
  model->engine_ = std::move(*engine);
  model->model_ = std::move(*loaded);
  return model;
}

Status Model::prepare(const Workload& workload) {
  text::TokenChunk prompt;
  for (size_t i = 1; i <= 20; ++i) prompt.tokens[i] = static_cast<int32_t>(1000 * i);
  for (const bool negative : {false, true}) {
    const pipelines::EncodeOptions options{.negative = negative,
                                           .facts = {.original_width = workload.width,
                                                     .original_height = workload.height,
                                                     .target_width = workload.width,
                                                     .target_height = workload.height}};
    auto encoded = model_->encode({negative ? text::TokenChunk() : prompt}, options, nullptr);
    if (!encoded) return encoded.error();
    (negative ? negative_ : prompt_) = std::move(*encoded);
  }
  std::vector<const pipelines::Conditioning*> conditionings;
  for (int64_t i = 0; i < workload.denoised(); ++i)
    conditionings.push_back(i < workload.batch ? &prompt_ : &negative_);
  auto predictor = model_->predictor(conditionings, workload.height / kFactor,
                                     workload.width / kFactor, {}, nullptr);
  if (!predictor) return predictor.error();
  predictor_ = std::move(*predictor);
  latents_ = random_latents(workload.denoised(), workload);
  return {};
}

Status Model::step(const engine::StopFlag* stop) {
  return check_finite((*predictor_)(latents_, kTimestep, stop), "step");
}

Status Model::decode(const Workload& workload, const engine::StopFlag* stop) {
  Tensor latents = random_latents(1, workload);
  for (float& value : latents.data) value *= workload.family->config.autoencoder.scale;
  return check_finite(model_->decode(latents, stop), "decoder");
}

Result<Timing> Model::time_step(const Workload& workload, int repeats) {
  const double flops = flops_of(step_graph(workload));
  auto timing = time_runs(*engine_, repeats, [&] { return step(); });
  if (timing) timing->flops = flops;
  return timing;
}

Result<Timing> Model::time_decode(const Workload& workload, int repeats) {
  const double flops = flops_of(decode_graph(workload));
  auto timing = time_runs(*engine_, repeats, [&] { return decode(workload); });
  if (timing) timing->flops = flops;
  return timing;
}

}  // namespace safelight::bench
