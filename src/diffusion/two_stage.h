#pragma once

#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {

/// DPM-Solver++(2S) with the noise of ancestral steps: a step goes half of the way in log sigma,
/// evaluates there, and goes the whole way by what it found. towards(x, first, newest, sigma, to)
/// gives x at `to`, by the picture of the step's first evaluation and that of the newest one.
template <class Towards>
Result<Tensor> sample_two_stage_ancestral(SamplerRun& run, Towards towards) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Result<Tensor> first = run.denoise_step(i, x);
    if (!first) return first;
    const auto [down, up] = ancestral_step(sigma, next, run.eta());
    if (down == 0) {
      x = *first;
    } else {
      const double half = std::sqrt(sigma * down);
      const Result<Tensor> newest = run.denoise(towards(x, *first, *first, sigma, half), half);
      if (!newest) return newest;
      x = towards(x, *first, *newest, sigma, down);
    }
    if (next > 0) x = sum({{1, x}, {up * run.options().s_noise, run.next_noise()}});
  }
  return x;
}

}  // namespace safelight::diffusion
