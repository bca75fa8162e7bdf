#include "pipelines/denoiser_run.h"

#include <fmt/format.h>

#include <cmath>

namespace safelight::pipelines {

Status DenoiserRun::begin(LatentModel& model) {
  return use(model, options_.model_id, options_.words);
}

Result<Tensor> DenoiserRun::operator()(const Tensor& x, double sigma, double timestep) {
  if (refiner_is_due(timestep)) {
    if (Status changed = change_to_refiner(); !changed) return changed.error();
  }
  return (*denoiser_)(x, sigma, timestep);
}

bool DenoiserRun::refiner_is_due(double timestep) const {
  if (refining_ || !options_.load_refiner) return false;
  if (request_.refiner_start > 0) {
    // As diffusers' denoising_end and denoising_start cut.
    const auto size = static_cast<double>(model_->traits().schedule.size());
    return timestep < std::round(size - request_.refiner_start * size);
  }
  return static_cast<double>(denoiser_->next_step()) >=
         request_.refiner_switch_at * static_cast<double>(request_.steps);
}

Status DenoiserRun::change_to_refiner() {
  refining_ = true;
  how_.steps_before = denoiser_->steps_done();
  how_.calls_before = denoiser_->calls();
  const ModelTraits before = model_->traits();
  // The first model may have to make room: nothing of it is used from here on.
  denoiser_.reset();
  prompts_.reset();
  auto refiner = options_.load_refiner();
  if (!refiner) return refiner.error();
  const ModelTraits& after = refiner->model->traits();
  if (after.latent_channels != before.latent_channels || after.factor != before.factor ||
      after.tiny_decoder != before.tiny_decoder) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("refiner '{}' is a {} model and draws on other latents than the {} "
                             "model before it; a refiner of the same kind is needed",
                             request_.refiner, after.family, before.family)};
  }
  return use(*refiner->model, refiner->model_id, refiner->words);
}

Status DenoiserRun::use(LatentModel& model, const std::string& model_id,
                        const text::Vocabulary& words) {
  model_ = &model;
  auto prompts = PromptConditioning::encode(
      {model, options_.conditionings, model_id, words, options_.stop}, request_, how_.evaluations);
  if (!prompts) return prompts.error();
  prompts_ = std::move(*prompts);
  auto guidance = GuidanceSettings::of(request_, model.traits());
  if (!guidance) return guidance.error();
  how_.guidance = std::move(*guidance);
  denoiser_.emplace(model, request_, *prompts_, how_);
  return {};
}

}  // namespace safelight::pipelines
