#include "diffusion/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "diffusion/lcm_schedule.h"
#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

// name, aliases, automatic, uses spacing, stochastic, brownian, discards penultimate, evaluations,
// eta, reference, function
constexpr std::array kSamplers = {
    SamplerInfo{"DPM++ 2M", "k_dpmpp_2m,dpmpp_2m", Spacing::kKarras, true, false, false, false, 1,
                0, "k-diffusion sample_dpmpp_2m", &sample_dpmpp_2m},
    SamplerInfo{"DPM++ SDE", "k_dpmpp_sde,dpmpp_sde", Spacing::kKarras, true, true, true, false, 2,
                1, "k-diffusion sample_dpmpp_sde", &sample_dpmpp_sde},
    SamplerInfo{"DPM++ 2M SDE", "k_dpmpp_2m_sde,dpmpp_2m_sde", Spacing::kExponential, true, true,
                true, false, 1, 1, "k-diffusion sample_dpmpp_2m_sde (midpoint)",
                &sample_dpmpp_2m_sde},
    SamplerInfo{"DPM++ 2M SDE Heun", "k_dpmpp_2m_sde_heun,dpmpp_2m_sde_heun", Spacing::kExponential,
                true, true, true, false, 1, 1, "k-diffusion sample_dpmpp_2m_sde (heun)",
                &sample_dpmpp_2m_sde_heun},
    SamplerInfo{"DPM++ 2S a", "k_dpmpp_2s_a,dpmpp_2s_ancestral,dpm++ 2s ancestral",
                Spacing::kKarras, true, true, false, false, 2, 1,
                "k-diffusion sample_dpmpp_2s_ancestral", &sample_dpmpp_2s_ancestral},
    SamplerInfo{"DPM++ 3M SDE", "k_dpmpp_3m_sde,dpmpp_3m_sde", Spacing::kExponential, true, true,
                true, true, 1, 1, "k-diffusion sample_dpmpp_3m_sde", &sample_dpmpp_3m_sde},
    SamplerInfo{"Euler a", "k_euler_a,k_euler_ancestral,euler_ancestral,euler ancestral",
                Spacing::kUniform, true, true, false, false, 1, 1,
                "k-diffusion sample_euler_ancestral", &sample_euler_ancestral},
    SamplerInfo{"Euler", "k_euler", Spacing::kUniform, true, false, false, false, 1, 0,
                "k-diffusion sample_euler", &sample_euler},
    SamplerInfo{"LMS", "k_lms", Spacing::kUniform, true, false, false, false, 1, 0,
                "k-diffusion sample_lms", &sample_lms},
    SamplerInfo{"Heun", "k_heun", Spacing::kUniform, true, false, false, false, 2, 0,
                "k-diffusion sample_heun", &sample_heun},
    SamplerInfo{"DPM2", "k_dpm_2,dpm_2", Spacing::kKarras, true, false, false, true, 2, 0,
                "k-diffusion sample_dpm_2", &sample_dpm2},
    SamplerInfo{"DPM2 a", "k_dpm_2_a,dpm_2_ancestral,dpm2 ancestral", Spacing::kKarras, true, true,
                false, true, 2, 1, "k-diffusion sample_dpm_2_ancestral", &sample_dpm2_ancestral},
    SamplerInfo{"DDIM", "", Spacing::kAutomatic, false, false, false, false, 1, 0,
                "SD WebUI sd_samplers_timesteps_impl.ddim", &sample_ddim},
    SamplerInfo{"PLMS", "", Spacing::kAutomatic, false, false, false, false, 1, 0,
                "SD WebUI sd_samplers_timesteps_impl.plms", &sample_plms},
    SamplerInfo{"UniPC", "uni_pc", Spacing::kAutomatic, false, false, false, false, 1, 0,
                "SD WebUI sd_samplers_timesteps_impl.unipc (bh1, order 3, uniform in time)",
                &sample_unipc},
    SamplerInfo{"DDPM", "", Spacing::kAutomatic, false, true, false, false, 1, 0,
                "diffusers DDPMScheduler (leading, steps_offset 1)", &sample_ddpm},
    SamplerInfo{"DEIS", "", Spacing::kAutomatic, true, false, false, false, 1, 0,
                "diffusers DEISMultistepScheduler (order 2)", &sample_deis},
    SamplerInfo{"LCM", "k_lcm", Spacing::kUniform, true, true, false, false, 1, 0,
                "SD WebUI sd_samplers_lcm.sample_lcm", &sample_lcm},
};

bool has_alias(std::string_view aliases, std::string_view name) {
  while (!aliases.empty()) {
    const size_t end = std::min(aliases.find(','), aliases.size());
    if (aliases.substr(0, end) == name) return true;
    aliases.remove_prefix(std::min(end + 1, aliases.size()));
  }
  return false;
}

const SamplerInfo* find_exact(std::string_view lower_name) {
  for (const SamplerInfo& sampler : kSamplers) {
    if (ascii_lower(sampler.name) == lower_name || has_alias(sampler.aliases, lower_name))
      return &sampler;
  }
  return nullptr;
}

std::vector<float> spaced_sigmas(const SamplerInfo& sampler, const SampleInputs& inputs) {
  const Spacing spacing =
      inputs.spacing == Spacing::kAutomatic ? sampler.automatic : inputs.spacing;
  if (!sampler.uses_spacing || spacing == Spacing::kAutomatic) return {};
  const bool lcm = sampler.function == &sample_lcm;
  std::vector<float> values =
      lcm ? lcm_sigmas(spacing, inputs.steps, inputs.schedule)
          : sigmas(spacing, inputs.steps + (sampler.discards_penultimate ? 1 : 0), inputs.schedule);
  if (sampler.discards_penultimate && values.size() > 2) values.erase(values.end() - 2);
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
  return endings;
}

/// Of the samplers, and of the samplers with a schedule behind them.
std::string nearest_sampler(std::string_view name) {
  std::vector<std::string> names;
  for (const SamplerInfo& sampler : kSamplers) {
    names.emplace_back(sampler.name);
    for (const SpacingInfo& spacing : spacings())
      names.push_back(fmt::format("{} {}", sampler.name, spacing.name));
  }
  return std::string(nearest_name(name, {names.begin(), names.end()}));
}

}  // namespace

std::span<const SamplerInfo> samplers() { return kSamplers; }

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
  const float low = sigmas_.size() > 1 ? sigmas_[sigmas_.size() - 2] : sigmas_.front();
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

Result<Tensor> sample(const SamplerInfo& sampler, const SampleInputs& inputs,
                      const Denoiser& denoiser, const StepCallback& callback) {
  SamplerRun run(sampler, inputs, denoiser, callback);
  return sampler.function(run);
}

}  // namespace safelight::diffusion
