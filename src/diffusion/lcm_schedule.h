#pragma once

#include <vector>

#include "diffusion/sigma_schedule.h"

namespace safelight::diffusion {

/// The levels that latent consistency models were distilled on: every 20th timestep (19, 39, ...
/// 999), as SD WebUI's LCMCompVisDenoiser has them.
NoiseSchedule lcm_table(const NoiseSchedule& schedule);

/// Falling sigmas over that table, 0 behind them.
std::vector<float> lcm_sigmas(Spacing spacing, int64_t steps, const NoiseSchedule& schedule,
                              const SigmaOptions& options = {});

/// The nearest of the table's timesteps, in the model's own count.
double lcm_timestep(double sigma, const NoiseSchedule& table, int64_t model_timesteps);

}  // namespace safelight::diffusion
