// DPM-Solver++ (Lu et al. 2022) as k-diffusion writes it, in t = -log sigma.
#include <cmath>

#include "diffusion/sampler_run.h"
#include "diffusion/two_stage.h"

namespace safelight::diffusion {
namespace {

/// x at `to` from x at `from`, were the picture `denoised` all the way.
Tensor towards(const Tensor& x, const Tensor& denoised, double from, double to) {
  return sum({{to / from, x}, {1 - to / from, denoised}});
}

}  // namespace

Result<Tensor> sample_dpmpp_2m(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]), before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (i == 0 || next == 0) {
      x = towards(x, *denoised, sigma, next);
    } else {
      const double r = std::log(sigmas[i - 1] / sigma) / std::log(sigma / next);
      x = towards(x, sum({{1 + 0.5 / r, *denoised}, {-0.5 / r, before}}), sigma, next);
    }
    before = std::move(*denoised);
  }
  return x;
}

Result<Tensor> sample_dpmpp_2s_ancestral(SamplerRun& run) {
  return sample_two_stage_ancestral(
      run, [](const Tensor& x, const Tensor& /*first*/, const Tensor& newest, double sigma,
              double to) { return towards(x, newest, sigma, to); });
}

}  // namespace safelight::diffusion
