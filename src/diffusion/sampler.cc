#include "diffusion/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "diffusion/lcm_schedule.h"
#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

const SamplerInfo* find_exact(std::string_view lower_name) {
  for (const SamplerInfo& sampler : samplers()) {
    if (ascii_lower(sampler.name) == lower_name || has_name(sampler.aliases, lower_name))
      return &sampler;
  }
  return nullptr;
}

std::vector<float> spaced_sigmas(const SamplerInfo& sampler, const SampleInputs& inputs) {
  const Spacing spacing =
      inputs.spacing == Spacing::kAutomatic ? sampler.automatic : inputs.spacing;
  if (!sampler.uses_spacing || spacing == Spacing::kAutomatic) return {};
  const bool lcm = sampler.function == &sample_lcm;
  const bool discards = inputs.options.discard_penultimate.value_or(sampler.discards_penultimate);
  const int64_t steps = inputs.steps + (discards ? 1 : 0);
  std::vector<float> values =
      lcm ? lcm_sigmas(spacing, steps, inputs.schedule, inputs.sigma_options)
          : sigmas(spacing, steps, inputs.schedule, inputs.sigma_options);
  if (discards && values.size() > 2) values.erase(values.end() - 2);
  // Where more steps are asked for than the model has levels, a level comes twice: a step of no
  // length, in which multistep samplers would divide by zero. LCM draws anew in each step.
  if (!lcm) values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// How a schedule may end a sampler's name: "DPM++ 2M Karras", "k_dpmpp_2m_karras", or as SD WebUI
/// had it before schedules were chosen apart, "k_dpmpp_2m_ka".
std::vector<std::string> suffixes(const SpacingInfo& spacing) {
  std::vector<std::string> endings{" " + ascii_lower(spacing.name),
                                   "_" + std::string(spacing.identifier)};
  if (spacing.spacing == Spacing::kKarras) endings.emplace_back("_ka");
  if (spacing.spacing == Spacing::kExponential) endings.emplace_back("_exp");
  if (spacing.spacing == Spacing::kSgmUniform) endings.emplace_back(" sgm");
  return endings;
}

/// Of the samplers, and of the samplers with a schedule behind them.
std::string nearest_sampler(std::string_view name) {
  std::vector<std::string> names;
  for (const SamplerInfo& sampler : samplers()) {
    names.emplace_back(sampler.name);
    for (const SpacingInfo& spacing : spacings())
      names.push_back(fmt::format("{} {}", sampler.name, spacing.name));
  }
  return std::string(nearest_name(name, {names.begin(), names.end()}));
}

}  // namespace

Result<SamplerChoice> find_sampler(std::string_view name) {
  const std::string wanted = ascii_lower(trimmed(name));
  if (const SamplerInfo* found = find_exact(wanted)) return SamplerChoice{found, std::nullopt};
  for (const SpacingInfo& spacing : spacings()) {
    for (const std::string& suffix : suffixes(spacing)) {
      if (!wanted.ends_with(suffix)) continue;
      if (const SamplerInfo* found = find_exact(wanted.substr(0, wanted.size() - suffix.size())))
        return SamplerChoice{found, spacing.spacing};
    }
  }
  if (names_flow_match(wanted)) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("sampler '{}' is for flow models, and no family here is one; the same "
                             "name without it is for Stable Diffusion's",
                             trimmed(name))};
  }
  const std::string nearest = nearest_sampler(trimmed(name));
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("sampler '{}' is unknown{}", name,
                           nearest.empty() ? "; 'safelight samplers' lists them"
                                           : fmt::format("; did you mean '{}'?", nearest))};
}

SamplerRun::SamplerRun(const SamplerInfo& sampler, const SampleInputs& inputs,
                       const Denoiser& denoiser, const StepCallback& callback)
    : sampler_(sampler),
      inputs_(inputs),
      denoiser_(denoiser),
      callback_(callback),
      sigmas_(spaced_sigmas(sampler, inputs)) {
  if (!sampler.brownian) return;
  // The motion spans the sigmas of the run above 0.
  const float low = sigmas_.back() > 0 ? sigmas_.back() : sigmas_[sigmas_.size() - 2];
  brownian_ = std::make_unique<BrownianNoise>(inputs.shape, inputs.seeds, low, sigmas_.front(),
                                              inputs.noise.source());
}

Tensor SamplerRun::brownian_noise(double sigma, double sigma_next) {
  return (*brownian_)(sigma, sigma_next);
}

AncestralStep ancestral_step(double from, double to, double eta) {
  if (eta == 0) return {to, 0};
  const double up =
      std::min(to, eta * std::sqrt(to * to * (from * from - to * to) / (from * from)));
  return {std::sqrt(to * to - up * up), up};
}

double SamplerRun::churn(Tensor& x, double sigma) {
  const SamplerOptions& given = options();
  if (given.s_churn <= 0) return sigma;
  const Tensor noise = next_noise();  // drawn in each step, used or not, as k-diffusion does
  const bool above = given.s_tmax > 0 && sigma > given.s_tmax;  // 0: no limit, as SD WebUI
  if (sigma < given.s_tmin || above) return sigma;
  const double gamma = std::min(given.s_churn / static_cast<double>(steps()), std::sqrt(2.0) - 1);
  const double raised = sigma * (gamma + 1);
  x = sum({{1, x}, {given.s_noise * std::sqrt(raised * raised - sigma * sigma), noise}});
  return raised;
}

Status check(const SampleInputs& inputs) {
  if (inputs.steps < 1) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("steps is {}; at least 1 is needed", inputs.steps)};
  }
  const SamplerOptions& options = inputs.options;
  for (const double number :
       {options.eta.value_or(0), options.s_churn, options.s_tmin, options.s_noise}) {
    if (!std::isfinite(number) || number < 0) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("a sampler's option is {}; eta, s_churn, s_tmin and s_noise are "
                               "finite numbers, at least 0",
                               number)};
    }
  }
  if (std::isnan(options.s_tmax))
    return Error{ErrorCode::kInvalidArgument, "s_tmax is no number; 0 is no limit"};
  return check(inputs.sigma_options, inputs.schedule);
}

std::vector<std::string> hints(const SamplerInfo& sampler, Spacing spacing, int64_t steps,
                               double cfg_scale) {
  constexpr double kMostOfCfgPlusPlus = 3;
  constexpr int64_t kStepsOfTcd = 50, kStepsOfSdTurbo = 10;
  std::vector<std::string> hints;
  if (!sampler.uses_spacing && spacing != Spacing::kAutomatic) {
    hints.push_back(fmt::format("schedule '{}' does nothing: {} has timesteps of its own",
                                info(spacing).name, sampler.name));
  }
  const bool scales = sampler.function == &sample_ddim_cfg_pp;
  if (sampler.uses_unguided && !scales && cfg_scale > kMostOfCfgPlusPlus) {
    hints.push_back(fmt::format("{} is for a cfg_scale of 1 to 2; {} will burn the picture",
                                sampler.name, cfg_scale));
  }
  if (sampler.function == &sample_tcd && steps > kStepsOfTcd) {
    hints.push_back(fmt::format("{} makes at most {} steps, of the {} asked for", sampler.name,
                                kStepsOfTcd, steps));
  }
  if (sampler.uses_spacing && spacing == Spacing::kSdTurbo && steps > kStepsOfSdTurbo) {
    hints.push_back(fmt::format("schedule '{}' has {} levels, fewer than the {} steps asked for",
                                info(spacing).name, kStepsOfSdTurbo, steps));
  }
  return hints;
}

Result<Tensor> sample(const SamplerInfo& sampler, const SampleInputs& inputs,
                      const Denoiser& denoiser, const StepCallback& callback) {
  if (Status good = check(inputs); !good) return good.error();
  SamplerRun run(sampler, inputs, denoiser, callback);
  return sampler.function(run);
}

}  // namespace safelight::diffusion
