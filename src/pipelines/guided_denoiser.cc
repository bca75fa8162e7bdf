#include "pipelines/guided_denoiser.h"

#include <algorithm>

#include "diffusion/arithmetic.h"
#include "diffusion/guidance.h"
#include "diffusion/guidance/zero_star.h"

namespace safelight::pipelines {
namespace {

/// The pictures [first, first + count) of a batch.
Tensor part(const Tensor& batch, int64_t first, int64_t count) {
  std::vector<int64_t> shape = batch.shape;
  const int64_t size = batch.size() / shape[0];
  shape[0] = count;
  Tensor result(shape);
  std::copy_n(batch.begin() + first * size, count * size, result.begin());
  return result;
}

/// `count` times the batch.
Tensor repeated(const Tensor& batch, size_t count) {
  Tensor result = batch;
  result.data.reserve(count * batch.data.size());
  for (size_t i = 1; i < count; ++i)
    result.data.insert(result.data.end(), batch.begin(), batch.end());
  result.shape[0] *= static_cast<int64_t>(count);
  return result;
}

double total_weight(const StepConditioning& prompts) {
  double total = 0;
  for (const WeightedConditioning& part : prompts.positive) total += part.weight;
  return total;
}

}  // namespace

diffusion::NoiseSchedule run_schedule(const ModelTraits& traits, const request::Request& request) {
  return request.noise_schedule == "zero-terminal-snr" ? traits.schedule.zero_terminal_snr()
                                                       : traits.schedule;
}

Result<Tensor> GuidedDenoiser::operator()(const Tensor& x, double sigma, double timestep) {
  const Moment now = moment(x, sigma, timestep);
  if (now.acts && step_ < guidance_.zero_init_steps) {
    unguided_ = seen(now, Tensor(x.shape));
    return unguided_;
  }
  auto outputs = evaluate_prompts(now);
  if (!outputs) return outputs.error();
  if (now.acts && guidance_.pag_scale > 0) {
    if (Status done = evaluate_perturbed(now, *outputs); !done) return done.error();
  }
  Tensor picture = combined(now, *outputs);
  if (options_.keeps_unguided) unguided_ = now.negative ? seen(now, outputs->base()) : picture;
  if (now.acts && guidance_.sag_scale > 0) return away_from_degraded(now, *outputs, picture);
  return picture;
}

GuidedDenoiser::Moment GuidedDenoiser::moment(const Tensor& x, double sigma, double timestep) {
  step_ = next_step();
  const int64_t call = calls_++;
  const StepConditioning& prompts = prompts_.at(call);
  const bool acts = diffusion::guidance_acts(step_, request_.steps, guidance_.start, guidance_.end);
  // At a scale of 1, the prompt's parts say it all where they are all that counts.
  const bool changes = guidance_.scale != 1 || guidance_.method == GuidanceMethod::kThreshold ||
                       total_weight(prompts) != 1 || options_.keeps_unguided;
  const bool skipped = diffusion::skips_negative(guidance_.skips, call,
                                                 request_.steps * options_.evaluations, sigma);
  return {.x = x,
          .sigma = sigma,
          .timestep = timestep,
          .prompts = prompts,
          .input = diffusion::scaled(x, schedule_.input_scale(sigma)),
          .acts = acts,
          .negative = acts && changes && !skipped};
}

PassOptions GuidedDenoiser::pass_options(Pass pass) const {
  PassOptions options{.less_work = {.token_merging = request_.token_merging_ratio,
                                    .cache_interval = request_.deep_cache_interval,
                                    .cache_depth = request_.deep_cache_depth}};
  if (pass == Pass::kPerturbed) options.perturbed = guidance_.perturbed;
  options.attention_map = pass == Pass::kMain && guidance_.sag_scale > 0;
  return options;
}

/// One output for each conditioning, which `input` has a picture for.
Result<Tensor> GuidedDenoiser::evaluate(Pass pass, const Conditionings& conditionings,
                                        const Moment& now, const Tensor& input) {
  Ready& ready = ready_[{pass, conditionings.size()}];
  if (ready.conditionings != conditionings) {
    auto made = model_.predictor(conditionings, input.shape[2], input.shape[3], pass_options(pass),
                                 options_.stop);
    if (!made) return made.error();
    ready = {conditionings, std::move(*made)};
  }
  if (pass == Pass::kMain) main_ = ready.predictor.get();
  ready.predictor->enter_step(step_);
  return (*ready.predictor)(input, schedule_.told(now.sigma, now.timestep), options_.stop);
}

/// Of the prompt's parts, whose outputs stand in a batch from the `first` conditioning on.
std::vector<diffusion::WeightedOutput> GuidedDenoiser::weighted(const Moment& now,
                                                                const Tensor& output,
                                                                size_t first) const {
  std::vector<diffusion::WeightedOutput> parts;
  for (const WeightedConditioning& wanted : now.prompts.positive) {
    const auto place = static_cast<int64_t>(first + parts.size()) * options_.pictures;
    parts.push_back({wanted.weight, part(output, place, options_.pictures)});
  }
  return parts;
}

GuidedDenoiser::Conditionings GuidedDenoiser::parts_of(const Moment& now) const {
  Conditionings conditionings;
  for (const WeightedConditioning& wanted : now.prompts.positive)
    conditionings.insert(conditionings.end(), static_cast<size_t>(options_.pictures),
                         wanted.conditioning.get());
  return conditionings;
}

Result<GuidedDenoiser::Outputs> GuidedDenoiser::evaluate_prompts(const Moment& now) {
  Conditionings conditionings = parts_of(now);
  if (now.negative) {
    conditionings.insert(conditionings.begin(), static_cast<size_t>(options_.pictures),
                         now.prompts.negative.get());
  }
  const size_t prompts = now.prompts.positive.size() + (now.negative ? 1 : 0);
  auto output = prompts == 1
                    ? evaluate(Pass::kMain, conditionings, now, now.input)
                    : evaluate(Pass::kMain, conditionings, now, repeated(now.input, prompts));
  if (!output) return output.error();
  Outputs outputs;
  if (prompts == 1) {
    outputs.prompt = std::move(*output);
    return outputs;
  }
  outputs.first = part(*output, 0, options_.pictures);
  outputs.prompt = diffusion::composed(outputs.first, weighted(now, *output, now.negative ? 1 : 0));
  return outputs;
}

/// Once more with perturbed attention, for the prompt's parts.
Status GuidedDenoiser::evaluate_perturbed(const Moment& now, Outputs& outputs) {
  outputs.pag_scale =
      diffusion::perturbed_scale(guidance_.pag_scale, guidance_.pag_adaptive, now.timestep);
  if (outputs.pag_scale == 0) return {};
  const auto output = evaluate(Pass::kPerturbed, parts_of(now), now,
                               repeated(now.input, now.prompts.positive.size()));
  if (!output) return output.error();
  outputs.perturbed = diffusion::composed(outputs.base(), weighted(now, *output, 0));
  return {};
}

/// The picture behind the outputs. Some ways of guidance act on what the network predicts, others
/// on the pictures that it sees.
Tensor GuidedDenoiser::combined(const Moment& now, const Outputs& outputs) {
  const bool sees_pictures = guidance_.method == GuidanceMethod::kProjected ||
                             guidance_.method == GuidanceMethod::kThreshold;
  const double pag = outputs.pag_scale;
  if (now.negative && sees_pictures) {
    const Tensor uncond = seen(now, outputs.base()), cond = seen(now, outputs.prompt);
    // Some samplers make more steps than are asked for.
    const auto last = static_cast<double>(std::max<int64_t>(request_.steps - 1, 1));
    const double progress = std::min(static_cast<double>(step_) / last, 1.0);
    Tensor picture = guidance_.method == GuidanceMethod::kProjected
                         ? projected_(uncond, cond, guidance_.scale)
                         : diffusion::threshold_guided(uncond, cond, guidance_.scale,
                                                       guidance_.threshold, progress);
    if (pag == 0) return picture;
    return diffusion::sum({{1, picture}, {pag, cond}, {-pag, seen(now, outputs.perturbed)}});
  }
  if (!now.negative && pag == 0) return seen(now, outputs.prompt);
  const auto guide = guidance_.method == GuidanceMethod::kZeroStar ? diffusion::zero_star_guided
                                                                   : diffusion::guided;
  Tensor output =
      now.negative ? guide(outputs.base(), outputs.prompt, guidance_.scale) : outputs.prompt;
  if (pag > 0)
    output = diffusion::sum({{1, output}, {pag, outputs.prompt}, {-pag, outputs.perturbed}});
  if (now.negative && guidance_.rescale > 0)
    output = diffusion::rescaled(output, outputs.prompt, guidance_.rescale);
  return seen(now, output);
}

/// Self-attention guidance (Hong et al. 2023): away from what the network sees where the picture is
/// blurred in the places that it looks at, with the same noise.
Result<Tensor> GuidedDenoiser::away_from_degraded(const Moment& now, const Outputs& outputs,
                                                  const Tensor& picture) {
  const Tensor clear = seen(now, outputs.base());
  const Tensor worse = diffusion::degraded(
      clear, part(main_->attention_map(), 0, options_.pictures), guidance_.degrade);
  const Tensor noisy = diffusion::sum({{1, worse}, {1, now.x}, {-1, clear}});
  const diffusion::NoiseSchedule& schedule = schedule_;
  const Conditionings conditionings(
      static_cast<size_t>(options_.pictures),
      now.negative ? now.prompts.negative.get() : now.prompts.positive[0].conditioning.get());
  const auto output = evaluate(Pass::kDegraded, conditionings, now,
                               diffusion::scaled(noisy, schedule.input_scale(now.sigma)));
  if (!output) return output;
  const Tensor seen_again = schedule.denoised(noisy, *output, now.sigma);
  const double scale = guidance_.sag_scale;
  return diffusion::sum({{1, picture}, {scale, worse}, {-scale, seen_again}});
}

}  // namespace safelight::pipelines
