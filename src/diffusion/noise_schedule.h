#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace safelight::diffusion {

/// What a denoiser network predicts.
enum class Prediction {
  kEpsilon,  ///< the noise
  kV,        ///< alpha * noise - sigma * picture (Salimans & Ho 2022)
  kSample,   ///< the picture
  kEdm,      ///< what the picture differs by from a share of x (Karras et al. 2022, equation 7)
};

/// The ends of a model's noise levels, and the spread of its pictures.
struct EdmRange {
  double sigma_min = 0.002, sigma_max = 80, sigma_data = 0.5;  ///< those of Playground v2.5
};

/// The noise levels that a model was trained on, and the ways between its three scales: the
/// timestep t in [0, N - 1], alpha-bar, and sigma = sqrt((1 - alpha-bar) / alpha-bar),
/// k-diffusion's "variance exploding" scale, in which x = picture + sigma * noise. Between
/// timesteps log sigma is linear, as in k-diffusion's DiscreteSchedule.
class NoiseSchedule {
 public:
  /// Betas that are the squares of evenly spaced numbers (LDM's "scaled linear"), N of them.
  static NoiseSchedule scaled_linear(double beta_start, double beta_end, int64_t steps,
                                     Prediction prediction);
  /// Stable Diffusion 1.x, 2.x and XL: 0.00085 to 0.012 in 1000 steps.
  static NoiseSchedule sd1(Prediction prediction = Prediction::kEpsilon) {
    return scaled_linear(0.00085, 0.012, 1000, prediction);
  }
  /// Levels of a model that was trained on all between two ends (Karras et al. 2022): 1000 of them,
  /// even in log sigma. Its network is told log(sigma) / 4. Predictions other than kEdm are in the
  /// scale where pictures have a spread of sigma_data (CosXL predicts v with 1).
  static NoiseSchedule edm(const EdmRange& range, Prediction prediction = Prediction::kEdm);
  /// From alpha-bars, most picture first; at least two, falling, within (0, 1).
  NoiseSchedule(std::vector<float> alphas_cumprod, Prediction prediction);

  /// The same with no picture left at the last timestep (Lin et al. 2023, algorithm 1), but for
  /// what keeps sigma finite: SD WebUI's last alpha-bar of 4.9e-8, sigma 4518.8. Schedules of EDM
  /// and those that are so already stay as they are.
  NoiseSchedule zero_terminal_snr() const;

  int64_t size() const { return static_cast<int64_t>(alphas_cumprod_.size()); }
  Prediction prediction() const { return prediction_; }
  const std::vector<float>& alphas_cumprod() const { return alphas_cumprod_; }
  const std::vector<float>& sigmas() const { return sigmas_; }  ///< by timestep, rising
  float sigma_min() const { return sigmas_.front(); }
  float sigma_max() const { return sigmas_.back(); }

  /// The fractional timestep of a noise level, within [0, N - 1].
  double timestep(double sigma) const;
  /// The noise level of a fractional timestep in [0, N - 1].
  double sigma(double timestep) const;

  /// What the network is told of a level that a sampler evaluates as `timestep`: that, or
  /// log(sigma) / 4 where the model knows no timesteps.
  double told(double sigma, double timestep) const;
  /// By what x is multiplied before the network sees it: 1 / sqrt(sigma^2 + sigma_data^2).
  double input_scale(double sigma) const;
  /// From k-diffusion's scale to the variance-preserving one: sqrt(alpha-bar).
  static double preserving_scale(double sigma);
  /// The picture that the network's output stands for, at x and sigma.
  Tensor denoised(const Tensor& x, const Tensor& output, double sigma) const;

 private:
  std::vector<float> alphas_cumprod_, sigmas_;
  std::vector<double> log_sigmas_;
  Prediction prediction_;
  double sigma_data_ = 1;
  bool told_log_sigma_ = false;
};

}  // namespace safelight::diffusion
