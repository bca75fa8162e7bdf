// Multistep samplers on the ODE of Karras et al. 2022 as ComfyUI has them: IPNDM (Zhang & Chen
// 2022, arXiv 2204.13902: Adams-Bashforth weights for even steps), IPNDM_V (weights for uneven
// steps), and Heun++ (HeunPP2: slopes of up to three levels, weighted by sigma).
#include <algorithm>
#include <cmath>
#include <deque>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

constexpr size_t kOrder = 4;
using Weights = std::vector<double>;  // newest first

/// Of Adams and Bashforth, for even steps.
Weights even_weights(size_t order) {
  switch (order) {
    case 1:
      return {1};
    case 2:
      return {1.5, -0.5};
    case 3:
      return {23.0 / 12, -16.0 / 12, 5.0 / 12};
    default:
      return {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24};
  }
}

/// diff-sampler's weights for uneven steps: h, and before it h1, h2, h3.
Weights uneven_weights(size_t order, double h, double h1, double h2, double h3) {
  if (order == 1) return {1};
  const double a = h / h1;
  if (order == 2) return {1 + a / 2, -a / 2};
  const double third = h / (3 * (h + h1));
  const double b = (1 - third * (h * (h + h1)) / (h1 * (h1 + h2))) / 2, c = h1 / h2;
  if (order == 3) return {1 + a / 2 + b, -a / 2 - (1 + c) * b, b * c};
  const double share = (1 - third) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2));
  const double d = share * (h * (h + h1) * (h + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3));
  const double e = h1 * (h1 + h2) / (h2 * (h2 + h3));
  return {1 + a / 2 + b + d, -a / 2 - (1 + c) * b - (1 + c + e) * d,
          b * c + (c + e * (1 + h2 / h3)) * d, -d * e * c};
}

/// The length of the step that is `back` before step i; 1 where there was none.
double length(const std::vector<float>& sigmas, int64_t i, int64_t back) {
  return i < back ? 1 : static_cast<double>(sigmas[i - back + 1]) - sigmas[i - back];
}

template <class WeightsOfStep>
Result<Tensor> ipndm(SamplerRun& run, WeightsOfStep weights_of) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  std::deque<Tensor> slopes;  // newest first
  for (int64_t i = 0; i < run.steps(); ++i) {
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    slopes.push_front(slope(x, *denoised, sigmas[i]));
    if (slopes.size() > kOrder) slopes.pop_back();
    if (sigmas[i + 1] == 0) {
      x = *denoised;
      continue;
    }
    const Weights weights = weights_of(slopes.size(), i);
    const double h = length(sigmas, i, 0);
    for (size_t k = 0; k < slopes.size(); ++k) x = sum({{1, x}, {h * weights[k], slopes[k]}});
  }
  return x;
}

}  // namespace

Result<Tensor> sample_ipndm(SamplerRun& run) {
  return ipndm(run, [](size_t order, int64_t) { return even_weights(order); });
}

Result<Tensor> sample_ipndm_v(SamplerRun& run) {
  return ipndm(run, [&](size_t order, int64_t i) {
    const std::vector<float>& sigmas = run.sigmas();
    return uneven_weights(order, length(sigmas, i, 0), length(sigmas, i, 1), length(sigmas, i, 2),
                          length(sigmas, i, 3));
  });
}

Result<Tensor> sample_heunpp2(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = run.churn(x, sigmas[i]);
    const Result<Tensor> denoised =
        run.reported(i, run.steps(), sigmas[i], x, run.denoise(x, sigma));
    if (!denoised) return denoised;
    const Tensor first = slope(x, *denoised, sigma);
    const int64_t left = run.steps() - i;  // of the steps, this one included
    const double next = sigmas[i + 1], h = next - sigma;
    if (left == 1) {
      x = sum({{1, x}, {h, first}});
      continue;
    }
    const Tensor ahead = sum({{1, x}, {h, first}});
    const Result<Tensor> picture = run.denoise(ahead, next);
    if (!picture) return picture;
    const Tensor second = slope(ahead, *picture, next);
    if (left == 2) {
      const double weight = next / (2.0 * sigmas[0]);
      x = sum({{1, x}, {h * (1 - weight), first}, {h * weight, second}});
      continue;
    }
    const double after = sigmas[i + 2];
    const Tensor further = sum({{1, ahead}, {after - next, second}});
    const Result<Tensor> last = run.denoise(further, after);
    if (!last) return last;
    const double weight_2 = next / (3.0 * sigmas[0]), weight_3 = after / (3.0 * sigmas[0]);
    x = sum({{1, x},
             {h * (1 - weight_2 - weight_3), first},
             {h * weight_2, second},
             {h * weight_3, slope(further, *last, after)}});
  }
  return x;
}

}  // namespace safelight::diffusion
