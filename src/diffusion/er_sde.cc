// ER-SDE-Solver-3 (Cui et al. 2023, "Elucidating the solution space of extended reverse-time SDE
// for diffusion models", arXiv 2309.06169) in sigma, where alpha is 1 and the paper's lambda is
// sigma: its variance-exploding form, equal to ComfyUI's er_sde, which writes both forms as one.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

/// The paper's noise scale function "ER-SDE 5": phi(x) = x (exp(x^0.3) + 10).
double noise_scale(double x) { return x * (std::exp(std::pow(x, 0.3)) + 10); }

/// The integrals of the paper's proposition 4 over [to, from] by 200 rectangles: of 1 / phi, and of
/// (x - from) / phi.
struct Integrals {
  double plain = 0, first = 0;
};
Integrals integrals(double from, double to) {
  constexpr int kPoints = 200;
  const double width = (from - to) / kPoints;
  Integrals total;
  for (int i = 0; i < kPoints; ++i) {
    const double x = to + i * width;
    total.plain += width / noise_scale(x);
    total.first += width * (x - from) / noise_scale(x);
  }
  return total;
}

}  // namespace

Result<Tensor> sample_er_sde(SamplerRun& run) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  Tensor before, slope_before;  // the last picture, and how pictures changed over sigma
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double from = sigmas[i], to = sigmas[i + 1];
    Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (to == 0) {
      x = *denoised;
      continue;
    }
    // First order: x_t = phi(t) / phi(s) x_s + (1 - phi(t) / phi(s)) picture + noise.
    const double scale = noise_scale(to), ratio = scale / noise_scale(from), h = to - from;
    x = sum({{ratio, x}, {1 - ratio, *denoised}});
    if (i > 0) {
      // Second order: + (h + phi(t) integral of 1 / phi) times the picture's first difference.
      const auto [plain, first] = integrals(from, to);
      const double last = from - sigmas[i - 1];
      Tensor picture_slope = sum({{1 / last, *denoised}, {-1 / last, before}});
      x = sum({{1, x}, {h + plain * scale, picture_slope}});
      if (i > 1) {
        // Third: + (h^2 / 2 + phi(t) integral of (lambda - s) / phi) times the second.
        const double weight = (h * h / 2 + first * scale) / ((from - sigmas[i - 2]) / 2);
        x = sum({{1, x}, {weight, picture_slope}, {-weight, slope_before}});
      }
      slope_before = std::move(picture_slope);
    }
    const double s_noise = run.options().s_noise;
    if (s_noise > 0) {
      const double up = std::sqrt(std::max(0.0, to * to - from * from * ratio * ratio));
      x = sum({{1, x}, {s_noise * up, run.next_noise()}});
    }
    before = std::move(*denoised);
  }
  return x;
}

}  // namespace safelight::diffusion
