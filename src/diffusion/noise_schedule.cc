#include "diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>

#include "diffusion/arithmetic.h"

namespace safelight::diffusion {

NoiseSchedule NoiseSchedule::scaled_linear(double beta_start, double beta_end, int64_t steps,
                                           Prediction prediction) {
  std::vector<float> alphas_cumprod;
  double product = 1;
  const double first = std::sqrt(beta_start), last = std::sqrt(beta_end);
  for (int64_t i = 0; i < steps; ++i) {
    const double root = first + (last - first) * static_cast<double>(i) /
                                    static_cast<double>(std::max<int64_t>(steps - 1, 1));
    product *= 1 - root * root;
    alphas_cumprod.push_back(static_cast<float>(product));
  }
  return {std::move(alphas_cumprod), prediction};
}

NoiseSchedule::NoiseSchedule(std::vector<float> alphas_cumprod, Prediction prediction)
    : alphas_cumprod_(std::move(alphas_cumprod)), prediction_(prediction) {
  // float32, as torch computes this table.
  for (const float alpha : alphas_cumprod_) {
    sigmas_.push_back(std::sqrt((1 - alpha) / alpha));
    log_sigmas_.push_back(std::log(static_cast<double>(sigmas_.back())));
  }
}

double NoiseSchedule::timestep(double sigma) const {
  const double log_sigma = std::log(sigma);
  const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), log_sigma);
  const int64_t low = std::clamp<int64_t>(above - log_sigmas_.begin() - 1, 0, size() - 2);
  const double from = log_sigmas_[static_cast<size_t>(low)],
               to = log_sigmas_[static_cast<size_t>(low + 1)];
  return static_cast<double>(low) + std::clamp((from - log_sigma) / (from - to), 0.0, 1.0);
}

double NoiseSchedule::sigma(double exact_timestep) const {
  const double timestep = static_cast<float>(exact_timestep);  // as k-diffusion
  const auto low = static_cast<size_t>(
      std::clamp<double>(std::floor(timestep), 0, static_cast<double>(size() - 1)));
  const size_t high = std::min(low + 1, static_cast<size_t>(size() - 1));
  const double weight = std::clamp(timestep - static_cast<double>(low), 0.0, 1.0);
  return std::exp((1 - weight) * log_sigmas_[low] + weight * log_sigmas_[high]);
}

double NoiseSchedule::input_scale(double sigma) { return 1 / std::sqrt(sigma * sigma + 1); }

Tensor NoiseSchedule::denoised(const Tensor& x, const Tensor& output, double sigma) const {
  if (prediction_ == Prediction::kEpsilon) return sum({{1, x}, {-sigma, output}});
  return sum({{1 / (sigma * sigma + 1), x}, {-sigma * input_scale(sigma), output}});
}

}  // namespace safelight::diffusion
