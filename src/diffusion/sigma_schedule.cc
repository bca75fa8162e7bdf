#include "diffusion/sigma_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "base/text.h"
#include "diffusion/sigma_formulas.h"

namespace safelight::diffusion {
namespace {

constexpr double kKarrasRho = 7, kPolyexponentialRho = 1;
constexpr double kLeastRho = 0.1, kMostRho = 100;

constexpr std::array kSpacings = {
    SpacingInfo{Spacing::kAutomatic, "Automatic", "automatic", "default", "the sampler's own"},
    SpacingInfo{Spacing::kUniform, "Uniform", "uniform", "",
                "evenly spaced timesteps, both ends included (k-diffusion's default)"},
    SpacingInfo{Spacing::kKarras, "Karras", "karras", "",
                "Karras et al. 2022, rho 7 or as asked for"},
    SpacingInfo{Spacing::kExponential, "Exponential", "exponential", "",
                "evenly spaced in log sigma"},
    SpacingInfo{Spacing::kSgmUniform, "SGM Uniform", "sgm_uniform", "sgmuniform",
                "evenly spaced timesteps without the last"},
    SpacingInfo{Spacing::kSimple, "Simple", "simple", "", "every n-th level of the model's table"},
    SpacingInfo{Spacing::kNormal, "Normal", "normal", "",
                "evenly spaced timesteps between the model's first and last sigma"},
    SpacingInfo{Spacing::kDdim, "DDIM", "ddim", "ddim_uniform",
                "DDIM's strides through the model's table"},
    SpacingInfo{Spacing::kBeta, "Beta", "beta", "betas",
                "quantiles of the beta distribution (0.6, 0.6), Lee et al. 2024"},
    SpacingInfo{Spacing::kPolyexponential, "Polyexponential", "polyexponential", "",
                "a power of evenly spaced log sigma; rho 1 or as asked for"},
    SpacingInfo{Spacing::kKlOptimal, "KL Optimal", "kl_optimal", "",
                "evenly spaced in arctan sigma, down to the model's lowest"},
    SpacingInfo{Spacing::kAlignYourSteps, "Align Your Steps", "align_your_steps", "ays",
                "levels optimised for SD 1.5 and SDXL, Sabour et al. 2024"},
    SpacingInfo{Spacing::kAlignYourStepsGits, "Align Your Steps GITS", "align_your_steps_gits",
                "gits", "levels optimised for few steps, Chen et al. 2024"},
    SpacingInfo{Spacing::kLinearQuadratic, "Linear Quadratic", "linear_quadratic", "",
                "even small steps first, then ever longer ones"},
    SpacingInfo{Spacing::kBongTangent, "Bong Tangent", "bong_tangent", "",
                "two arctangents, slow at both ends and in the middle"},
    SpacingInfo{Spacing::kTurbo, "Turbo", "turbo", "",
                "the ends of even strides, for Turbo models"},
    SpacingInfo{Spacing::kSdTurbo, "SD Turbo", "sd_turbo", "",
                "the first of SD Turbo's ten levels; at most ten steps"},
};

bool is_named(const SpacingInfo& entry, std::string_view lower_name) {
  return lower_name == ascii_lower(entry.name) || lower_name == entry.identifier ||
         has_name(entry.aliases, lower_name);
}

Error bad_options(const std::string& what) { return {ErrorCode::kInvalidArgument, what}; }

}  // namespace

std::span<const SpacingInfo> spacings() { return kSpacings; }
const SpacingInfo& info(Spacing spacing) { return kSpacings[static_cast<size_t>(spacing)]; }

bool names_flow_match(std::string_view lower_name) {
  constexpr std::array kNames = {"flowmatch", "flow match", "flow_match", "flow-match"};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view name) {
    return lower_name.find(name) != std::string_view::npos;
  });
}

bool has_name(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const size_t end = std::min(names.find(','), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

Result<Spacing> find_spacing(std::string_view name) {
  const std::string wanted = ascii_lower(trimmed(name));
  std::vector<std::string_view> known;
  for (const SpacingInfo& entry : kSpacings) {
    if (is_named(entry, wanted)) return entry.spacing;
    known.push_back(entry.name);
  }
  if (wanted.empty()) return Spacing::kAutomatic;
  if (names_flow_match(wanted)) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("schedule '{}' is for flow models, and no family here is one; "
                             "'safelight samplers' lists the schedules",
                             trimmed(name))};
  }
  const std::string_view nearest = nearest_name(trimmed(name), known);
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("schedule '{}' is unknown{}", name,
                           nearest.empty() ? "; 'safelight samplers' lists them"
                                           : fmt::format("; did you mean '{}'?", nearest))};
}

SigmaRange range(const SigmaOptions& options, const NoiseSchedule& schedule) {
  return {options.sigma_min > 0 ? options.sigma_min : schedule.sigma_min(),
          options.sigma_max > 0 ? options.sigma_max : schedule.sigma_max()};
}

Status check(const SigmaOptions& options, const NoiseSchedule& schedule) {
  for (const double number :
       {options.sigma_min, options.sigma_max, options.rho, options.beta_alpha, options.beta_beta}) {
    if (!std::isfinite(number) || number < 0)
      return bad_options(
          fmt::format("a noise schedule with the number {}; it needs finite ones, "
                      "at least 0",
                      number));
  }
  const auto [low, high] = range(options, schedule);
  if (low >= high) {
    return bad_options(
        fmt::format("sigma_min is {:.6g} and sigma_max {:.6g}; sigma_min must be the lower one (0 "
                    "for the model's own, {:.6g} and {:.6g})",
                    low, high, schedule.sigma_min(), schedule.sigma_max()));
  }
  if (options.rho != 0 && (options.rho < kLeastRho || options.rho > kMostRho)) {
    return bad_options(fmt::format("rho is {}; {} to {} is possible, or 0 for the schedule's own",
                                   options.rho, kLeastRho, kMostRho));
  }
  if (options.beta_alpha == 0 || options.beta_beta == 0)
    return bad_options("beta_alpha and beta_beta must be above 0; 0.6 is their default");
  return {};
}

std::vector<float> sigmas(Spacing spacing, int64_t steps, const NoiseSchedule& schedule,
                          const SigmaOptions& options) {
  const SigmaRange ends = range(options, schedule);
  const auto last = static_cast<double>(schedule.size() - 1);
  const auto by_time = [&](double first_time, double last_time, int64_t count) {
    return from_each(
        steps, [&](int64_t i) { return schedule.sigma(spaced(first_time, last_time, i, count)); });
  };
  switch (spacing) {
    case Spacing::kUniform:
      return by_time(last, 0, steps);
    case Spacing::kKarras:
      return karras_sigmas(steps, ends, options.rho > 0 ? options.rho : kKarrasRho);
    case Spacing::kExponential:
      return polyexponential_sigmas(steps, ends, 1);
    case Spacing::kSgmUniform:
      return by_time(schedule.timestep(ends.high), schedule.timestep(ends.low), steps + 1);
    case Spacing::kSimple:
      return from_each(steps, [&](int64_t i) {
        const double stride = static_cast<double>(schedule.size()) / static_cast<double>(steps);
        const auto back = static_cast<int64_t>(static_cast<double>(i) * stride);
        return schedule.sigmas()[static_cast<size_t>(schedule.size() - 1 - back)];
      });
    case Spacing::kNormal:
      return by_time(schedule.timestep(ends.high), schedule.timestep(ends.low), steps);
    case Spacing::kDdim:
      return ddim_sigmas(steps, schedule);
    case Spacing::kBeta:
      return beta_sigmas(steps, ends, options.beta_alpha, options.beta_beta);
    case Spacing::kPolyexponential:
      return polyexponential_sigmas(steps, ends,
                                    options.rho > 0 ? options.rho : kPolyexponentialRho);
    case Spacing::kKlOptimal:
      return kl_optimal_sigmas(steps, ends);
    case Spacing::kAlignYourSteps:
      return aligned_sigmas(steps, options.aligned);
    case Spacing::kAlignYourStepsGits:
      return gits_sigmas(steps, ends.high, options.aligned);
    case Spacing::kLinearQuadratic:
      return linear_quadratic_sigmas(steps, ends.high);
    case Spacing::kBongTangent:
      return bong_tangent_sigmas(steps, ends.high);
    case Spacing::kTurbo:
      return turbo_sigmas(steps, schedule);
    case Spacing::kSdTurbo:
      return sd_turbo_sigmas(steps, schedule);
    case Spacing::kAutomatic:
      break;
  }
  throw std::invalid_argument("sigmas: Automatic is the sampler's to resolve");
}

}  // namespace safelight::diffusion
