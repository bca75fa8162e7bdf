#include "pipelines/text_to_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>

#include "pipelines/denoiser_run.h"
#include "pipelines/sampler_plan.h"

namespace safelight::pipelines {
namespace {

using request::Request;

diffusion::NoiseOptions noise_options(const Request& request, const ModelTraits& traits,
                                      int64_t pictures) {
  diffusion::NoiseOptions options;
  options.shape = {traits.latent_channels, request.height / traits.factor,
                   request.width / traits.factor};
  for (int64_t i = 0; i < pictures; ++i) {
    // A variation walks through subseeds and keeps the seed, as in SD WebUI.
    const bool variation = request.subseed_strength != 0;
    options.seeds.push_back(static_cast<uint64_t>(request.seed + (variation ? 0 : i)));
    options.subseeds.push_back(static_cast<uint64_t>(request.subseed + i));
  }
  options.subseed_strength = static_cast<float>(request.subseed_strength);
  options.seed_resize_height = std::max<int64_t>(0, request.seed_resize_from_h) / traits.factor;
  options.seed_resize_width = std::max<int64_t>(0, request.seed_resize_from_w) / traits.factor;
  options.eta_noise_seed_delta = request.eta_noise_seed_delta;
  options.source =
      request.noise_source == "nv" ? diffusion::NoiseSource::kNv : diffusion::NoiseSource::kCpu;
  return options;
}

/// Latents of random squares, each of one value: decoders make areas of one colour of them, so
/// that a few tell what every value looks like. The latents of a picture that has just begun would
/// not: they hardly differ.
Tensor squares(int64_t channels) {
  constexpr int64_t kSide = 16, kSquare = 2;
  std::mt19937 generator(1);  // any numbers will do, but always the same
  std::normal_distribution<float> normal;
  Tensor latents({1, channels, kSide, kSide});
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t y = 0; y < kSide; y += kSquare) {
      for (int64_t x = 0; x < kSide; x += kSquare) {
        const float value = normal(generator);
        for (int64_t i = 0; i < kSquare * kSquare; ++i)
          latents.begin()[(c * kSide + y + i / kSquare) * kSide + x + i % kSquare] = value;
      }
    }
  }
  return latents;
}

/// Shows the first picture of a batch as far as it is. That a preview cannot be made is no fault
/// of the run.
void show(LatentModel& model, const Tensor& denoised, const BatchOptions& options) {
  if (options.tiny_decoder) {
    Tensor first({1, denoised.shape[1], denoised.shape[2], denoised.shape[3]});
    std::copy_n(denoised.begin(), first.size(), first.begin());
    const auto decoded = options.tiny_decoder->decode(first, options.stop);
    if (decoded) options.deliver_preview(image::UncheckedImage(image::to_image(*decoded, 0)));
    return;
  }
  LatentPreview& preview = *options.preview;
  if (!preview.fitted()) {
    const Tensor seen = squares(denoised.shape[1]);
    const auto decoded = model.decode(seen, options.stop);
    if (!decoded) return;
    preview.learn(seen, *decoded);
  }
  options.deliver_preview(preview.draw(denoised, 0));
}

/// What happens after each step of a batch.
class StepWatch {
 public:
  StepWatch(DenoiserRun& denoiser, const BatchOptions& options, int64_t steps)
      : denoiser_(denoiser), options_(options), steps_(steps) {}

  Status operator()(const diffusion::StepInfo& info) {
    denoiser_.step_done();
    steps_ = info.steps;
    if (options_.listener) options_.listener(info.step, info.steps);
    if (options_.stop && options_.stop->load(std::memory_order_relaxed))
      return Error{ErrorCode::kCancelled, "stopped"};
    if (options_.ends_early && options_.ends_early()) {
      ended_at_ = info.denoised;
      return Error{ErrorCode::kCancelled, "ended early"};
    }
    if (options_.preview && options_.preview_due && options_.preview_due())
      show(denoiser_.model(), info.denoised, options_);
    return {};
  }

  int64_t steps() const { return steps_; }
  /// The latents of a run that was ended early, if it was.
  std::optional<Tensor>& ended_at() { return ended_at_; }

 private:
  DenoiserRun& denoiser_;
  const BatchOptions& options_;
  int64_t steps_;
  std::optional<Tensor> ended_at_;
};

}  // namespace

Status check_request(const Request& request, const ModelTraits& traits) {
  const auto plan = plan_sampler(request, traits);
  if (!plan) return plan.error();
  if (traits.picture_channels > 0) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("this model ({}) draws on a picture that it is given, not from text "
                             "alone; this build has text to image only. Choose another model",
                             traits.family)};
  }
  if (request.clip_skip > traits.max_clip_skip) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("clip_skip is {}; this model's text encoder has {} layers",
                             request.clip_skip, traits.max_clip_skip)};
  }
  if (const auto guidance = GuidanceSettings::of(request, traits); !guidance)
    return guidance.error();
  return {};
}

Result<std::vector<image::UncheckedImage>> text_to_image(LatentModel& model, const Request& request,
                                                         int64_t pictures,
                                                         const BatchOptions& options) {
  const auto plan = plan_sampler(request, model.traits());
  if (!plan) return plan.error();
  DenoiserRun denoiser(request, options,
                       {.pictures = pictures,
                        .evaluations = plan->sampler->evaluations,
                        .counts_calls = plan->sampler->counts_evaluations,
                        .keeps_unguided = plan->sampler->uses_unguided,
                        .stop = options.stop});
  if (Status ready = denoiser.begin(model); !ready) return ready.error();
  const diffusion::NoiseSchedule schedule = run_schedule(model.traits(), request);

  const diffusion::NoiseOptions noise = noise_options(request, model.traits(), pictures);
  diffusion::ImageNoise source(noise);
  const diffusion::SampleInputs inputs{
      .schedule = schedule,
      .spacing = plan->spacing,
      .steps = request.steps,
      .options = plan->options,
      .noise = source,
      .seeds = noise.seeds,
      .shape = noise.shape,
      .sigma_options = plan->sigma_options,
      .unguided = [&]() -> const Tensor& { return denoiser.unguided(); }};
  StepWatch watch(denoiser, options, request.steps);
  auto latents = diffusion::sample(
      *plan->sampler, inputs,
      [&](const Tensor& x, double sigma, double t) { return denoiser(x, sigma, t); },
      [&](const diffusion::StepInfo& info) { return watch(info); });
  if (watch.ended_at()) latents = std::move(*watch.ended_at());
  if (!latents) return latents.error();
  if (options.listener) options.listener(watch.steps(), watch.steps());
  const bool tiny = request.vae_decoder == "taesd" && options.tiny_decoder;
  const auto decoded = tiny ? options.tiny_decoder->decode(*latents, options.stop)
                            : denoiser.model().decode(*latents, options.stop);
  if (!decoded) return decoded.error();
  if (options.preview && !tiny) options.preview->learn(*latents, *decoded);
  std::vector<image::UncheckedImage> results;
  for (int64_t i = 0; i < pictures; ++i) results.emplace_back(image::to_image(*decoded, i));
  return results;
}

}  // namespace safelight::pipelines
