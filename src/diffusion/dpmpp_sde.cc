// The SDE forms of DPM-Solver++ as k-diffusion writes them; noise is a Brownian motion's.
#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
Result<Tensor> sample_dpmpp_sde(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  const double s_noise = run.options().s_noise;
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (sigmas[i + 1] == 0) {
      x = *denoised;
      continue;
    }
    const double at = sigmas[i], at_next = sigmas[i + 1], at_half = std::sqrt(at * at_next);
    const auto [down_half, up_half] = ancestral_step(at, at_half, run.eta());
    const Tensor halfway = sum({{down_half / at, x},
                                {1 - down_half / at, *denoised},
                                {s_noise * up_half, run.brownian_noise(at, at_half)}});
    const Result<Tensor> again = run.denoise(halfway, at_half);
    if (!again) return again;

    const auto [down, up] = ancestral_step(at, at_next, run.eta());
    x = sum(
        {{down / at, x}, {1 - down / at, *again}, {s_noise * up, run.brownian_noise(at, at_next)}});
  }
  return x;
}

namespace {

/// x at the next level with the noise of step i; eta_h is eta times the step in log sigma.
Tensor with_noise(SamplerRun& run, const Tensor& x, int64_t i, double eta_h) {
  const double sigma = run.sigmas()[i], next = run.sigmas()[i + 1];
  const double up = next * std::sqrt(-std::expm1(-2 * eta_h)) * run.options().s_noise;
  return sum({{1, x}, {up, run.brownian_noise(sigma, next)}});
}

enum class Correction { kMidpoint, kHeun };

Result<Tensor> dpmpp_2m_sde(SamplerRun& run, Correction correction) {
  const std::vector<float>& sigmas = run.sigmas();
  const double eta = run.eta();
  Tensor x = scaled(run.first_noise(), sigmas[0]), before;
  double h_before = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (next == 0) {
      x = *denoised;
      continue;
    }
    const double h = std::log(sigma / next), eta_h = eta * h;
    const double weight = -std::expm1(-h - eta_h);
    x = sum({{next / sigma * std::exp(-eta_h), x}, {weight, *denoised}});
    if (i > 0) {
      const double r = h_before / h;
      const double factor =
          correction == Correction::kHeun ? weight / (-h - eta_h) + 1 : 0.5 * weight;
      x = sum({{1, x}, {factor / r, *denoised}, {-factor / r, before}});
    }
    if (eta > 0) x = with_noise(run, x, i, eta_h);
    before = std::move(*denoised);
    h_before = h;
  }
  return x;
}

}  // namespace

Result<Tensor> sample_dpmpp_2m_sde(SamplerRun& run) {
  return dpmpp_2m_sde(run, Correction::kMidpoint);
}
Result<Tensor> sample_dpmpp_2m_sde_heun(SamplerRun& run) {
  return dpmpp_2m_sde(run, Correction::kHeun);
}

Result<Tensor> sample_dpmpp_3m_sde(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  const double eta = run.eta();
  Tensor x = scaled(run.first_noise(), sigmas[0]), before, before_that;
  double h_1 = 0, h_2 = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (next == 0) {
      x = *denoised;
      continue;
    }
    const double h = std::log(sigma / next), h_eta = h * (eta + 1);
    const double phi_2 = std::expm1(-h_eta) / h_eta + 1, phi_3 = phi_2 / h_eta - 0.5;
    x = sum({{std::exp(-h_eta), x}, {-std::expm1(-h_eta), *denoised}});
    if (i >= 2) {
      const double r0 = h_1 / h, r1 = h_2 / h;
      const Tensor d1_0 = sum({{1 / r0, *denoised}, {-1 / r0, before}});
      const Tensor d1_1 = sum({{1 / r1, before}, {-1 / r1, before_that}});
      const double first = phi_2 * r0 / (r0 + r1) - phi_3 / (r0 + r1);
      x = sum({{1, x}, {phi_2 + first, d1_0}, {-first, d1_1}});
    } else if (i == 1) {
      const double r = h_1 / h;
      x = sum({{1, x}, {phi_2 / r, *denoised}, {-phi_2 / r, before}});
    }
    if (eta > 0) x = with_noise(run, x, i, h * eta);
    before_that = std::move(before);
    before = std::move(*denoised);
    h_2 = h_1;
    h_1 = h;
  }
  return x;
}

}  // namespace safelight::diffusion
