#include "pipelines/sampler_plan.h"

namespace safelight::pipelines {
namespace {

std::optional<bool> discards(const request::Request& request) {
  if (request.discard_penultimate_sigma == "auto") return std::nullopt;
  return request.discard_penultimate_sigma == "on";
}

}  // namespace

Result<SamplerPlan> plan_sampler(const request::Request& request, const ModelTraits& traits) {
  const auto sampler = diffusion::find_sampler(request.sampler);
  if (!sampler) return sampler.error();
  const auto spacing = diffusion::find_spacing(request.schedule);
  if (!spacing) return spacing.error();
  const bool automatic = *spacing == diffusion::Spacing::kAutomatic;
  SamplerPlan plan{.sampler = sampler->sampler,
                   .spacing = automatic && sampler->spacing ? *sampler->spacing : *spacing,
                   .options = {.eta = request.eta,
                               .s_churn = request.s_churn,
                               .s_tmin = request.s_tmin,
                               .s_tmax = request.s_tmax,
                               .s_noise = request.s_noise,
                               .discard_penultimate = discards(request)},
                   .sigma_options = {.sigma_min = request.sigma_min,
                                     .sigma_max = request.sigma_max,
                                     .rho = request.rho,
                                     .beta_alpha = request.beta_alpha,
                                     .beta_beta = request.beta_beta,
                                     .aligned = traits.aligned}};
  if (Status good = check(plan.sigma_options, traits.schedule); !good) return good.error();
  return plan;
}

void use_listed_names(request::Request& request) {
  const auto sampler = diffusion::find_sampler(request.sampler);
  const auto spacing = diffusion::find_spacing(request.schedule);
  if (!sampler || !spacing) return;
  request.sampler = sampler->sampler->name;
  const bool automatic = *spacing == diffusion::Spacing::kAutomatic;
  request.schedule =
      diffusion::info(automatic && sampler->spacing ? *sampler->spacing : *spacing).name;
}

}  // namespace safelight::pipelines
