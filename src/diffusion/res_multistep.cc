// Second-order multistep samplers of ComfyUI: res_multistep (refined exponential solver, Zhang et
// al. 2023, arXiv 2308.02157) and gradient_estimation (Permenter & Yuan 2023, arXiv 2306.04848),
// each with a CFG++ form, in which the unconditional picture takes the place of the guided one.
#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

enum class Guided { kPlain, kPlusPlus };

/// The exponential integrator's phi functions.
double phi_1(double z) { return std::expm1(z) / z; }
double phi_2(double z) { return (phi_1(z) - 1) / z; }

Result<Tensor> res_multistep(SamplerRun& run, Guided guided) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]), before;
  double down_before = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    const Tensor& base = guided == Guided::kPlusPlus ? run.unguided(*denoised) : *denoised;
    const auto [down, up] = ancestral_step(sigma, next, run.eta());
    if (down == 0 || i == 0) {
      x = sum({{1, *denoised}, {down, slope(x, base, sigma)}});
    } else {
      const double h = std::log(sigma / down);
      const double c2 = std::log(down_before / sigmas[i - 1]) / h;
      const double older = phi_2(-h) / c2;
      // The guided picture less the unconditional one is nothing without CFG++.
      x = sum({{down / sigma, x},
               {down / sigma, *denoised},
               {h * (phi_1(-h) - older) - down / sigma, base},
               {h * older, before}});
    }
    if (next > 0 && up > 0) x = sum({{1, x}, {up * run.options().s_noise, run.next_noise()}});
    before = base;
    down_before = down;
  }
  return x;
}

Result<Tensor> gradient_estimation(SamplerRun& run, Guided guided) {
  constexpr double kGamma = 2;
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]), before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    Tensor direction =
        slope(x, guided == Guided::kPlusPlus ? run.unguided(*denoised) : *denoised, sigma);
    if (next == 0) {
      x = *denoised;
    } else {
      x = sum({{1, *denoised}, {next, direction}});
      const double more = (kGamma - 1) * (next - sigma);
      if (i > 0) x = sum({{1, x}, {more, direction}, {-more, before}});
    }
    before = std::move(direction);
  }
  return x;
}

}  // namespace

Result<Tensor> sample_res_multistep(SamplerRun& run) { return res_multistep(run, Guided::kPlain); }
Result<Tensor> sample_res_multistep_cfg_pp(SamplerRun& run) {
  return res_multistep(run, Guided::kPlusPlus);
}
Result<Tensor> sample_gradient_estimation(SamplerRun& run) {
  return gradient_estimation(run, Guided::kPlain);
}
Result<Tensor> sample_gradient_estimation_cfg_pp(SamplerRun& run) {
  return gradient_estimation(run, Guided::kPlusPlus);
}

}  // namespace safelight::diffusion
