#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/sigma_schedule.h"

namespace safelight::diffusion {

// The schedules that are formulas of their own, one function each; falling sigmas, ended as
// sigmas() says. docs/samplers.md names their references.

/// Even in sigma^(1 / rho) (Karras et al. 2022, equation 5).
std::vector<float> karras_sigmas(int64_t steps, SigmaRange range, double rho);
/// Log sigma falls as (1 - i / (n - 1))^rho.
std::vector<float> polyexponential_sigmas(int64_t steps, SigmaRange range, double rho);
/// Even in arctan sigma (Sabour et al. 2024, theorem 3.1); ends at the lowest level.
std::vector<float> kl_optimal_sigmas(int64_t steps, SigmaRange range);
/// Quantiles of a beta distribution (Lee et al. 2024).
std::vector<float> beta_sigmas(int64_t steps, SigmaRange range, double alpha, double beta);
/// Log-linear between eleven levels (Sabour et al. 2024, "Align Your Steps").
std::vector<float> aligned_sigmas(int64_t steps, AlignedSteps model);
/// Log-linear between eleven shares of the highest level (Chen et al. 2024, "GITS").
std::vector<float> gits_sigmas(int64_t steps, double high, AlignedSteps model);
/// Half of the steps for the first fortieth of the way, the others ever longer (Mochi 1).
std::vector<float> linear_quadratic_sigmas(int64_t steps, double high);
/// Two arctangents that meet in half of the highest level (RES4LYF).
std::vector<float> bong_tangent_sigmas(int64_t steps, double high);
/// The levels of n even strides through the table, from its end.
std::vector<float> turbo_sigmas(int64_t steps, const NoiseSchedule& schedule);
/// The first n of the ten levels that SD Turbo was distilled on.
std::vector<float> sd_turbo_sigmas(int64_t steps, const NoiseSchedule& schedule);
/// Whole strides through the table from its second level (SD WebUI's "DDIM").
std::vector<float> ddim_sigmas(int64_t steps, const NoiseSchedule& schedule);

/// The i-th of n evenly spaced numbers from `first` to `last`; `first` where n is 1.
double spaced(double first, double last, int64_t i, int64_t n);

/// sigma(i) of each step, and 0 behind them.
template <class Sigma>
std::vector<float> from_each(int64_t steps, Sigma sigma) {
  std::vector<float> values;
  for (int64_t i = 0; i < steps; ++i) values.push_back(static_cast<float>(sigma(i)));
  values.push_back(0);
  return values;
}

}  // namespace safelight::diffusion
