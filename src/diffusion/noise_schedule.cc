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

NoiseSchedule NoiseSchedule::edm(const EdmRange& range, Prediction prediction) {
  constexpr int64_t kLevels = 1000;
  const double first = std::log(range.sigma_min), last = std::log(range.sigma_max);
  std::vector<float> alphas_cumprod, sigmas;
  for (int64_t i = 0; i < kLevels; ++i) {
    const double sigma = std::exp(first + (last - first) * static_cast<double>(i) / (kLevels - 1));
    sigmas.push_back(static_cast<float>(sigma));
    alphas_cumprod.push_back(static_cast<float>(1 / (sigma * sigma + 1)));
  }
  NoiseSchedule schedule(std::move(alphas_cumprod), prediction);
  // Low levels are lost in an alpha-bar of float32.
  schedule.sigmas_ = std::move(sigmas);
  for (size_t i = 0; i < schedule.sigmas_.size(); ++i)
    schedule.log_sigmas_[i] = std::log(static_cast<double>(schedule.sigmas_[i]));
  schedule.sigma_data_ = range.sigma_data;
  schedule.told_log_sigma_ = true;
  return schedule;
}

NoiseSchedule NoiseSchedule::zero_terminal_snr() const {
  constexpr float kLastAlphaBar = 4.8973451890853435e-08F;  // modules/sd_models.py
  if (told_log_sigma_ || alphas_cumprod_.back() <= kLastAlphaBar) return *this;
  const float first = std::sqrt(alphas_cumprod_.front()), last = std::sqrt(alphas_cumprod_.back());
  std::vector<float> rescaled;
  for (const float alpha : alphas_cumprod_) {
    const float root = (std::sqrt(alpha) - last) * (first / (first - last));
    rescaled.push_back(root * root);
  }
  rescaled.back() = kLastAlphaBar;
  return {std::move(rescaled), prediction_};
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

double NoiseSchedule::told(double sigma, double timestep) const {
  return told_log_sigma_ ? std::log(sigma) / 4 : timestep;
}

double NoiseSchedule::input_scale(double sigma) const {
  return 1 / std::sqrt(sigma * sigma + sigma_data_ * sigma_data_);
}

double NoiseSchedule::preserving_scale(double sigma) { return 1 / std::sqrt(sigma * sigma + 1); }

Tensor NoiseSchedule::denoised(const Tensor& x, const Tensor& output, double sigma) const {
  const double scale = input_scale(sigma), share = sigma_data_ * scale, out = sigma * share;
  switch (prediction_) {
    case Prediction::kEpsilon:
      return sum({{1, x}, {-sigma, output}});
    case Prediction::kSample:
      return output;
    case Prediction::kV:
      return sum({{share * share, x}, {-out, output}});
    case Prediction::kEdm:
      break;
  }
  return sum({{share * share, x}, {out, output}});
}

}  // namespace safelight::diffusion
