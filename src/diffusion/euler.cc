// Euler, Euler a, Heun, DPM2, DPM2 a and LMS: k-diffusion's samplers on the ODE of Karras et al.
// 2022, dx / dsigma = (x - denoised) / sigma.
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

/// The middle of two levels in log sigma.
double middle(double a, double b) { return std::exp(0.5 * (std::log(a) + std::log(b))); }

/// Runs `step` over all steps: step(x, denoised, i, sigma) gives the next x.
template <class Step>
Result<Tensor> each_step(SamplerRun& run, bool churns, Step step) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = churns ? run.churn(x, sigmas[i]) : sigmas[i];
    Result<Tensor> denoised = run.denoise(x, sigma);
    if (!denoised) return denoised;
    if (Status go = run.report(i, run.steps(), sigmas[i], x, *denoised); !go) return go.error();
    Result<Tensor> next = step(x, *denoised, i, sigma);
    if (!next) return next;
    x = std::move(*next);
  }
  return x;
}

}  // namespace

Result<Tensor> sample_euler(SamplerRun& run) {
  return each_step(
      run, true,
      [&](const Tensor& x, const Tensor& denoised, int64_t i, double sigma) -> Result<Tensor> {
        return sum({{1, x}, {run.sigmas()[i + 1] - sigma, slope(x, denoised, sigma)}});
      });
}

Result<Tensor> sample_euler_ancestral(SamplerRun& run) {
  return each_step(
      run, false,
      [&](const Tensor& x, const Tensor& denoised, int64_t i, double sigma) -> Result<Tensor> {
        const double next = run.sigmas()[i + 1];
        const auto [down, up] = ancestral_step(sigma, next, run.eta());
        const Tensor moved = sum({{1, x}, {down - sigma, slope(x, denoised, sigma)}});
        if (next == 0) return moved;
        return sum({{1, moved}, {up * run.options().s_noise, run.next_noise()}});
      });
}

Result<Tensor> sample_heun(SamplerRun& run) {
  return each_step(
      run, true,
      [&](const Tensor& x, const Tensor& denoised, int64_t i, double sigma) -> Result<Tensor> {
        const double next = run.sigmas()[i + 1];
        const Tensor first = slope(x, denoised, sigma);
        const Tensor moved = sum({{1, x}, {next - sigma, first}});
        if (next == 0) return moved;
        const Result<Tensor> again = run.denoise(moved, next);
        if (!again) return again;
        return sum({{1, x},
                    {0.5 * (next - sigma), first},
                    {0.5 * (next - sigma), slope(moved, *again, next)}});
      });
}

Result<Tensor> sample_dpm2(SamplerRun& run) {
  return each_step(
      run, true,
      [&](const Tensor& x, const Tensor& denoised, int64_t i, double sigma) -> Result<Tensor> {
        const double next = run.sigmas()[i + 1];
        const Tensor first = slope(x, denoised, sigma);
        if (next == 0) return sum({{1, x}, {next - sigma, first}});
        const double half = middle(sigma, next);
        const Tensor halfway = sum({{1, x}, {half - sigma, first}});
        const Result<Tensor> again = run.denoise(halfway, half);
        if (!again) return again;
        return sum({{1, x}, {next - sigma, slope(halfway, *again, half)}});
      });
}

Result<Tensor> sample_dpm2_ancestral(SamplerRun& run) {
  return each_step(
      run, false,
      [&](const Tensor& x, const Tensor& denoised, int64_t i, double sigma) -> Result<Tensor> {
        const double next = run.sigmas()[i + 1];
        const auto [down, up] = ancestral_step(sigma, next, run.eta());
        const Tensor first = slope(x, denoised, sigma);
        if (down == 0) return sum({{1, x}, {down - sigma, first}});
        const double half = middle(sigma, down);
        const Tensor halfway = sum({{1, x}, {half - sigma, first}});
        const Result<Tensor> again = run.denoise(halfway, half);
        if (!again) return again;
        return sum({{1, x},
                    {down - sigma, slope(halfway, *again, half)},
                    {up * run.options().s_noise, run.next_noise()}});
      });
}

namespace {

/// The integral over step i of the Lagrange polynomial through the last `order` levels that is 1 at
/// the j-th before i. Three Gauss points are exact for the polynomials of up to degree 3 that order
/// 4 needs.
double multistep_weight(const std::vector<float>& sigmas, int64_t i, int order, int j) {
  constexpr std::array kPoints = {-0.7745966692414834, 0.0, 0.7745966692414834};
  constexpr std::array kWeights = {5.0 / 9, 8.0 / 9, 5.0 / 9};
  const double from = sigmas[i], to = sigmas[i + 1];
  double integral = 0;
  for (size_t p = 0; p < kPoints.size(); ++p) {
    const double at = 0.5 * (from + to) + 0.5 * (to - from) * kPoints[p];
    double product = 1;
    for (int k = 0; k < order; ++k) {
      if (k != j)
        product *= (at - sigmas[i - k]) / (static_cast<double>(sigmas[i - j]) - sigmas[i - k]);
    }
    integral += 0.5 * (to - from) * kWeights[p] * product;
  }
  return integral;
}

}  // namespace

Result<Tensor> sample_lms(SamplerRun& run) {
  constexpr int64_t kOrder = 4;
  std::deque<Tensor> slopes;  // newest first
  return each_step(
      run, false,
      [&](const Tensor& x, const Tensor& denoised, int64_t i, double sigma) -> Result<Tensor> {
        slopes.push_front(slope(x, denoised, sigma));
        if (static_cast<int64_t>(slopes.size()) > kOrder) slopes.pop_back();
        const auto order = static_cast<int>(std::min(i + 1, kOrder));
        Tensor next = x;
        for (int j = 0; j < order; ++j) {
          next =
              sum({{1, next},
                   {multistep_weight(run.sigmas(), i, order, j), slopes[static_cast<size_t>(j)]}});
        }
        return next;
      });
}

}  // namespace safelight::diffusion
