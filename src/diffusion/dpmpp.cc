// DPM-Solver++ (Lu et al. 2022) as k-diffusion writes it, in t = -log sigma.
#include <cmath>

#include "diffusion/sampler_run.h"

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
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    const auto [down, up] = ancestral_step(sigma, next, run.eta());
    if (down == 0) {
      x = towards(x, *denoised, sigma, 0);
    } else {
      const double half = std::sqrt(sigma * down);
      const Result<Tensor> again = run.denoise(towards(x, *denoised, sigma, half), half);
      if (!again) return again;
      x = towards(x, *again, sigma, down);
    }
    if (next > 0) x = sum({{1, x}, {up * run.options().s_noise, run.next_noise()}});
  }
  return x;
}

}  // namespace safelight::diffusion
