#include "pipelines/guided_denoiser.h"

#include <algorithm>

#include "diffusion/arithmetic.h"
#include "diffusion/guidance.h"

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

}  // namespace

Result<Tensor> GuidedDenoiser::operator()(const Tensor& x, double sigma, double timestep) {
  const diffusion::NoiseSchedule& schedule = model_.traits().schedule;
  const Tensor input = diffusion::scaled(x, schedule.input_scale(sigma));
  timestep = schedule.told(sigma, timestep);
  step_ = options_.evaluations == 1 ? steps_done_ : calls_ / options_.evaluations;
  ++calls_;
  const StepConditioning& prompts = prompts_.at(step_);
  const bool is_guided = acts();
  if (!is_guided && prompts.positive.size() == 1) {
    const Conditionings conditionings(static_cast<size_t>(options_.pictures),
                                      prompts.positive[0].conditioning.get());
    const auto output = evaluate(conditionings, input, timestep);
    if (!output) return output;
    Tensor picture = schedule.denoised(x, *output, sigma);
    if (options_.keeps_unguided) unguided_ = picture;
    return picture;
  }
  const auto both = evaluate_both(prompts, input, timestep);
  if (!both) return both.error();
  if (options_.keeps_unguided) unguided_ = schedule.denoised(x, both->uncond, sigma);
  if (!is_guided) return schedule.denoised(x, both->cond, sigma);
  Tensor output = diffusion::guided(both->uncond, both->cond, request_.cfg_scale);
  if (request_.cfg_rescale > 0)
    output = diffusion::rescaled(output, both->cond, request_.cfg_rescale);
  return schedule.denoised(x, output, sigma);
}

bool GuidedDenoiser::acts() const {
  if (request_.cfg_scale == 1) return false;
  return diffusion::guidance_acts(step_, request_.steps, request_.guidance_start,
                                  request_.guidance_end);
}

/// One output for each conditioning, which `input` has a picture for.
Result<Tensor> GuidedDenoiser::evaluate(const Conditionings& conditionings, const Tensor& input,
                                        double timestep) {
  Ready& ready = ready_[conditionings.size()];
  if (ready.conditionings != conditionings) {
    auto made = model_.predictor(conditionings, input.shape[2], input.shape[3],
                                 {.less_work = {.token_merging = request_.token_merging_ratio,
                                                .cache_interval = request_.deep_cache_interval,
                                                .cache_depth = request_.deep_cache_depth}},
                                 options_.stop);
    if (!made) return made.error();
    ready = {conditionings, std::move(*made)};
  }
  ready.predictor->enter_step(step_);
  return (*ready.predictor)(input, timestep, options_.stop);
}

Result<GuidedDenoiser::Outputs> GuidedDenoiser::evaluate_both(const StepConditioning& prompts,
                                                              const Tensor& input,
                                                              double timestep) {
  const int64_t pictures = options_.pictures;
  const auto count = static_cast<size_t>(pictures);
  Conditionings conditionings(count, prompts.negative.get());
  for (const WeightedConditioning& wanted : prompts.positive)
    conditionings.insert(conditionings.end(), count, wanted.conditioning.get());
  const auto output =
      evaluate(conditionings, repeated(input, prompts.positive.size() + 1), timestep);
  if (!output) return output.error();
  Outputs both{.uncond = part(*output, 0, pictures), .cond = {}};
  std::vector<diffusion::WeightedOutput> parts;
  for (const WeightedConditioning& wanted : prompts.positive) {
    const auto first = static_cast<int64_t>(parts.size() + 1) * pictures;
    parts.push_back({wanted.weight, part(*output, first, pictures)});
  }
  both.cond = diffusion::composed(both.uncond, parts);
  return both;
}

}  // namespace safelight::pipelines
