// Latent consistency models (Luo et al. 2023) as SD WebUI samples them.
#include <algorithm>
#include <cmath>

#include "diffusion/lcm_schedule.h"
#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

constexpr int64_t kLevels = 50;

int64_t stride_of(int64_t model_timesteps) {
  return std::max<int64_t>(model_timesteps / kLevels, 1);
}

}  // namespace

NoiseSchedule lcm_table(const NoiseSchedule& schedule) {
  std::vector<float> alphas;
  const int64_t stride = stride_of(schedule.size());
  for (int64_t t = stride - 1; t < schedule.size(); t += stride) {
    alphas.push_back(schedule.alphas_cumprod()[static_cast<size_t>(t)]);
  }
  return {std::move(alphas), schedule.prediction()};
}

std::vector<float> lcm_sigmas(Spacing spacing, int64_t steps, const NoiseSchedule& schedule,
                              const SigmaOptions& options) {
  return sigmas(spacing, steps, lcm_table(schedule), options);
}

double lcm_timestep(double sigma, const NoiseSchedule& table, int64_t model_timesteps) {
  const std::vector<float>& levels = table.sigmas();
  size_t nearest = 0;
  for (size_t i = 1; i < levels.size(); ++i) {
    if (std::abs(std::log(sigma / levels[i])) < std::abs(std::log(sigma / levels[nearest])))
      nearest = i;
  }
  const int64_t stride = stride_of(model_timesteps);
  return static_cast<double>(static_cast<int64_t>(nearest) * stride + stride - 1);
}

Result<Tensor> sample_lcm(SamplerRun& run) {
  constexpr double kSigmaData = 0.5, kTimestepScale = 10;
  const NoiseSchedule table = lcm_table(run.schedule());
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double timestep = lcm_timestep(sigmas[i], table, run.schedule().size());
    const Result<Tensor> predicted = run.denoise_at(x, sigmas[i], timestep);
    if (!predicted) return predicted;
    const double t = timestep * kTimestepScale, norm = t * t + kSigmaData * kSigmaData;
    const Tensor denoised =
        sum({{t / std::sqrt(norm), *predicted}, {kSigmaData * kSigmaData / norm, x}});
    if (Status go = run.report(i, run.steps(), sigmas[i], x, denoised); !go) return go.error();
    x = denoised;
    if (sigmas[i + 1] > 0) x = sum({{1, x}, {sigmas[i + 1], run.next_noise()}});
  }
  return x;
}

}  // namespace safelight::diffusion
