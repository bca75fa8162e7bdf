#include "diffusion/noise_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace safelight::diffusion {
namespace {

TEST(NoiseSchedule, HasTheLevelsOfStableDiffusion) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  EXPECT_EQ(schedule.size(), 1000);
  EXPECT_NEAR(schedule.alphas_cumprod().front(), 0.99915, 1e-6);
  EXPECT_NEAR(schedule.alphas_cumprod().back(), 0.0046600, 1e-6);
  EXPECT_NEAR(schedule.sigma_min(), 0.0291675, 1e-6);  // the limits that k-diffusion prints
  EXPECT_NEAR(schedule.sigma_max(), 14.614642, 1e-4);
}

TEST(NoiseSchedule, TimestepAndSigmaAreInverse) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const double t : {0.0, 0.25, 1.0, 499.5, 998.75, 999.0})
    EXPECT_NEAR(schedule.timestep(schedule.sigma(t)), t, 1e-4);
}

TEST(NoiseSchedule, IsLinearInLogSigmaBetweenTimesteps) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  const double between = std::sqrt(static_cast<double>(schedule.sigmas()[10]) *
                                   static_cast<double>(schedule.sigmas()[11]));
  EXPECT_NEAR(schedule.sigma(10.5), between, 1e-9);
  EXPECT_NEAR(schedule.timestep(between), 10.5, 1e-6);
}

TEST(NoiseSchedule, StaysWithinItsTable) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  EXPECT_EQ(schedule.timestep(0), 0);
  EXPECT_EQ(schedule.timestep(0.001), 0);
  EXPECT_EQ(schedule.timestep(1000), 999);
  EXPECT_NEAR(schedule.sigma(-5), schedule.sigma_min(), 1e-6);
  EXPECT_NEAR(schedule.sigma(5000), schedule.sigma_max(), 1e-5);
}

/// x and what a perfect network says of it, for one picture and noise.
struct Example {
  Tensor picture{{1, 1, 1, 3}, {0.5F, -1.0F, 2.0F}}, noise{{1, 1, 1, 3}, {1.0F, 0.25F, -0.5F}};
  double sigma = 1.7;

  Tensor mix(double of_picture, double of_noise) const {
    Tensor result(picture.shape);
    for (size_t i = 0; i < result.data.size(); ++i)
      result.data[i] = static_cast<float>(of_picture * picture.data[i] + of_noise * noise.data[i]);
    return result;
  }
};

TEST(NoiseSchedule, FindsThePictureFromEitherPrediction) {
  const Example example;
  const Tensor x = example.mix(1, example.sigma);
  const NoiseSchedule of_noise = NoiseSchedule::sd1();
  EXPECT_LE(nmse(of_noise.denoised(x, example.noise, example.sigma), example.picture), 1e-12);

  // v = alpha noise - s picture, with alpha^2 + s^2 = 1 and s / alpha = sigma.
  const double alpha = 1 / std::sqrt(example.sigma * example.sigma + 1);
  const Tensor v = example.mix(-alpha * example.sigma, alpha);
  const auto of_v = NoiseSchedule::scaled_linear(0.00085, 0.012, 1000, Prediction::kV);
  EXPECT_LE(nmse(of_v.denoised(x, v, example.sigma), example.picture), 1e-12);
}

TEST(NoiseSchedule, FindsThePictureFromWhatEdmPredicts) {
  const Example example;
  const Tensor x = example.mix(1, example.sigma);
  // (picture - share^2 x) / (sigma share), where share = sigma_data / sqrt(sigma^2 + sigma_data^2).
  const double share = 0.5 / std::sqrt(example.sigma * example.sigma + 0.25);
  const Tensor output = example.mix((1 - share * share) / (example.sigma * share), -share);
  const NoiseSchedule schedule = NoiseSchedule::edm({});
  EXPECT_LE(nmse(schedule.denoised(x, output, example.sigma), example.picture), 1e-12);
}

TEST(NoiseSchedule, EdmIsToldTheLogOfSigma) {
  const NoiseSchedule schedule = NoiseSchedule::edm({});
  EXPECT_NEAR(schedule.sigma_min(), 0.002, 1e-9);
  EXPECT_NEAR(schedule.sigma_max(), 80, 1e-4);
  EXPECT_NEAR(schedule.told(80, schedule.timestep(80)), std::log(80.0) / 4, 1e-12);
  EXPECT_EQ(NoiseSchedule::sd1().told(80, 999), 999);
  // Even the lowest levels are told apart, which an alpha-bar of float32 does not.
  EXPECT_NEAR(schedule.sigma(schedule.timestep(0.00201)), 0.00201, 1e-8);
}

TEST(NoiseSchedule, ZeroTerminalSnrIsReachedOnce) {
  const NoiseSchedule plain = NoiseSchedule::sd1(), zero = plain.zero_terminal_snr();
  EXPECT_FLOAT_EQ(zero.sigma_min(), plain.sigma_min());
  EXPECT_GT(zero.sigma_max(), 300 * plain.sigma_max());
  EXPECT_EQ(zero.zero_terminal_snr().alphas_cumprod(), zero.alphas_cumprod());
  const NoiseSchedule edm = NoiseSchedule::edm({});
  EXPECT_EQ(edm.zero_terminal_snr().sigmas(), edm.sigmas());
  EXPECT_EQ(edm.zero_terminal_snr().prediction(), Prediction::kEdm);
  for (const double t : {0.0, 500.5, 998.0, 998.5, 999.0})
    EXPECT_NEAR(zero.timestep(zero.sigma(t)), t, 1e-4);
}

TEST(NoiseSchedule, ScalesTheInputToUnitVariance) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  EXPECT_DOUBLE_EQ(schedule.input_scale(0), 1);
  EXPECT_DOUBLE_EQ(schedule.input_scale(std::sqrt(3.0)), 0.5);
  EXPECT_DOUBLE_EQ(NoiseSchedule::edm({}).input_scale(std::sqrt(0.75)), 1);
  EXPECT_DOUBLE_EQ(NoiseSchedule::preserving_scale(std::sqrt(3.0)), 0.5);
}

}  // namespace
}  // namespace safelight::diffusion
