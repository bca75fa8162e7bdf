// CFG++ (Chung et al. 2024, arXiv 2406.08070) in sigma as ComfyUI has it: the guided prediction is
// the picture, the unconditional one gives the direction in which noise goes on.
#include <cmath>

#include "diffusion/sampler_run.h"
#include "diffusion/two_stage.h"

namespace safelight::diffusion {

Result<Tensor> sample_euler_ancestral_cfg_pp(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  const double s_noise = run.options().s_noise;
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (next == 0) {
      x = *denoised;
      continue;
    }
    const auto [down, up] = ancestral_step(sigma, next, run.eta());
    x = sum({{1, *denoised}, {down, slope(x, run.unguided(*denoised), sigma)}});
    if (run.eta() > 0 && s_noise > 0) x = sum({{1, x}, {s_noise * up, run.next_noise()}});
  }
  return x;
}

Result<Tensor> sample_euler_cfg_pp(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    x = sum({{1, *denoised}, {sigmas[i + 1], slope(x, run.unguided(*denoised), sigmas[i])}});
  }
  return x;
}

Result<Tensor> sample_dpmpp_2m_cfg_pp(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]), before;  // before: unguided
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1], left = next / sigma;
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    const Tensor& unguided = run.unguided(*denoised);
    x = sum({{left, x}, {1, *denoised}, {-left, unguided}});
    if (i > 0 && next > 0) {
      const double r = std::log(sigmas[i - 1] / sigma) / std::log(sigma / next);
      x = sum({{1, x}, {(1 - left) / (2 * r), *denoised}, {-(1 - left) / (2 * r), before}});
    }
    before = unguided;
  }
  return x;
}

Result<Tensor> sample_dpmpp_2s_ancestral_cfg_pp(SamplerRun& run) {
  // x moves on by what guidance added, taken from the newest evaluation.
  return sample_two_stage_ancestral(run, [&](const Tensor& x, const Tensor& first,
                                             const Tensor& newest, double sigma, double to) {
    const double left = to / sigma;
    return sum({{left, x}, {left, first}, {-left, run.unguided(newest)}, {1 - left, newest}});
  });
}

}  // namespace safelight::diffusion
