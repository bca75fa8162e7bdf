// DEIS (Zhang & Chen 2022), multistep in log rho, order 2, as diffusers' DEISMultistepScheduler:
// the noise prediction is extrapolated in log sigma and integrated over sigma.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

/// diffusers' own levels: evenly spaced whole timesteps from the last down, then the lowest level
/// of the table.
std::vector<double> own_sigmas(SamplerRun& run) {
  const std::vector<float>& table = run.schedule().sigmas();
  const auto last = static_cast<double>(table.size() - 1);
  std::vector<double> levels;
  for (int64_t i = run.requested_steps(); i > 0; --i) {
    levels.push_back(table[static_cast<size_t>(std::nearbyint(
        last * static_cast<double>(i) / static_cast<double>(run.requested_steps())))]);
  }
  levels.push_back(table.front());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());  // no step of no length
  return levels;
}

/// Integral of (log t - log c) / (log b - log c) over t.
double integral(double t, double b, double c) {
  return t * (std::log(t) - std::log(c) - 1) / (std::log(b) - std::log(c));
}

}  // namespace

Result<Tensor> sample_deis(SamplerRun& run) {
  std::vector<double> levels(run.sigmas().begin(), run.sigmas().end());
  if (levels.empty()) {
    levels = own_sigmas(run);
  } else {
    // Log 0 has no meaning: the run ends at the model's lowest level, or at the one asked for.
    levels.back() = std::min<double>(run.schedule().sigma_min(), run.range().low);
  }
  const auto steps = static_cast<int64_t>(levels.size()) - 1;
  const auto preserved = [](const Tensor& x, double sigma) {
    return scaled(x, NoiseSchedule::preserving_scale(sigma));
  };
  // diffusers starts from unit noise in the variance-preserving scale.
  Tensor x = scaled(run.first_noise(), 1 / NoiseSchedule::preserving_scale(levels[0])), before;
  for (int64_t i = 0; i < steps; ++i) {
    const double sigma = levels[i], next = levels[i + 1];
    const Result<Tensor> denoised = run.denoise(x, sigma);
    if (!denoised) return denoised;
    if (Status go = run.report(i, steps, sigma, preserved(x, sigma), *denoised); !go)
      return go.error();
    Tensor noise = sum({{1 / sigma, x}, {-1 / sigma, *denoised}});
    const bool last_of_few = i == steps - 1 && steps < 15;
    if (i == 0 || last_of_few) {
      x = sum({{1, x}, {next - sigma, noise}});
    } else {
      const double last = levels[i - 1];
      const double newest = integral(next, sigma, last) - integral(sigma, sigma, last);
      const double older = integral(next, last, sigma) - integral(sigma, last, sigma);
      x = sum({{1, x}, {newest, noise}, {older, before}});
    }
    before = std::move(noise);
  }
  return preserved(x, levels.back());
}

}  // namespace safelight::diffusion
