#include "diffusion/sigma_formulas.h"

#include <algorithm>
#include <array>
#include <boost/math/constants/constants.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>

namespace safelight::diffusion {
namespace {

constexpr size_t kLevels = 11;
using Levels = std::array<double, kLevels>;

/// As NVIDIA publishes them (research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html) and SD
/// WebUI rounds them.
constexpr Levels kAlignedSd1 = {14.615, 6.475, 3.861, 2.697, 1.886, 1.396,
                                0.963,  0.652, 0.399, 0.152, 0.029};
constexpr Levels kAlignedSdxl = {14.615, 6.315, 3.771, 2.181, 1.342, 0.862,
                                 0.555,  0.380, 0.234, 0.113, 0.029};
/// By what Forge divides the highest level; the last level is a number of its own.
constexpr Levels kGitsSd1 = {1,      3.165,  5.829,   11.824,  20.819, 36.355,
                             60.895, 93.685, 140.528, 155.478, 0};
constexpr Levels kGitsSdxl = {1,      3.087,  5.693,  9.558,   14.807, 22.415,
                              34.964, 54.533, 81.648, 115.078, 0};
constexpr double kGitsLowest = 0.029;

/// Log-linear between levels, both ends included; the highest where there is one step.
std::vector<float> log_linear(const Levels& levels, int64_t steps) {
  return from_each(steps, [&](int64_t i) {
    const double at = spaced(0, static_cast<double>(kLevels - 1), i, steps);
    const auto low = std::min(static_cast<size_t>(at), kLevels - 2);
    const double weight = at - static_cast<double>(low);
    return std::exp((1 - weight) * std::log(levels[low]) + weight * std::log(levels[low + 1]));
  });
}

/// `count` numbers from `first` to `last` along an arctangent around `pivot`.
std::vector<double> tangent_stage(int64_t count, double slope, double pivot, double first,
                                  double last) {
  const auto curve = [&](int64_t x) {
    return 0.5 - std::atan(slope * (static_cast<double>(x) - pivot)) /
                     boost::math::constants::pi<double>();
  };
  const double top = curve(0), bottom = curve(count - 1);
  std::vector<double> values;
  for (int64_t x = 0; x < count; ++x)
    values.push_back((curve(x) - bottom) / (top - bottom) * (first - last) + last);
  return values;
}

}  // namespace

double spaced(double first, double last, int64_t i, int64_t n) {
  return n < 2 ? first
               : first + (last - first) * static_cast<double>(i) / static_cast<double>(n - 1);
}

std::vector<float> karras_sigmas(int64_t steps, SigmaRange range, double rho) {
  const double top = std::pow(range.high, 1 / rho), bottom = std::pow(range.low, 1 / rho);
  return from_each(steps, [&](int64_t i) {
    // Where the ends are many powers apart, rounding would lead below 0.
    return std::pow(std::max(spaced(top, bottom, i, steps), bottom), rho);
  });
}

std::vector<float> polyexponential_sigmas(int64_t steps, SigmaRange range, double rho) {
  return from_each(steps, [&](int64_t i) {
    return std::exp(std::pow(spaced(1, 0, i, steps), rho) * std::log(range.high / range.low) +
                    std::log(range.low));
  });
}

std::vector<float> kl_optimal_sigmas(int64_t steps, SigmaRange range) {
  std::vector<float> values;
  for (int64_t i = 0; i <= steps; ++i) {
    values.push_back(static_cast<float>(
        std::tan(spaced(std::atan(range.high), std::atan(range.low), i, steps + 1))));
  }
  return values;
}

std::vector<float> beta_sigmas(int64_t steps, SigmaRange range, double alpha, double beta) {
  return from_each(steps, [&](int64_t i) {
    const double quantile = boost::math::ibeta_inv(alpha, beta, 1 - spaced(0, 1, i, steps));
    return range.low + quantile * (range.high - range.low);
  });
}

std::vector<float> aligned_sigmas(int64_t steps, AlignedSteps model) {
  return log_linear(model == AlignedSteps::kSdxl ? kAlignedSdxl : kAlignedSd1, steps);
}

std::vector<float> gits_sigmas(int64_t steps, double high, AlignedSteps model) {
  Levels levels = model == AlignedSteps::kSdxl ? kGitsSdxl : kGitsSd1;
  for (double& level : levels)
    level = level > 0 ? std::max(high / level, kGitsLowest) : kGitsLowest;
  return log_linear(levels, steps);
}

std::vector<float> linear_quadratic_sigmas(int64_t steps, double high) {
  constexpr double kThreshold = 0.025;
  const int64_t linear = steps / 2;
  const auto l = static_cast<double>(linear), q = static_cast<double>(steps - linear);
  // A parabola that leaves the line at its end with its slope and reaches 1 at the last step.
  const double excess = l - kThreshold * static_cast<double>(steps);
  return from_each(steps, [&](int64_t i) {
    const auto at = static_cast<double>(i);
    if (i < linear) return high * (1 - at * kThreshold / l);
    if (linear == 0) return high;
    const double square = excess / (l * q * q);
    return high *
           (1 - (square * at * at + (kThreshold / l - 2 * excess / (q * q)) * at + square * l * l));
  });
}

std::vector<float> bong_tangent_sigmas(int64_t steps, double high) {
  constexpr double kPivot = 0.6, kSlope = 0.2, kMiddle = 0.5, kSlopeSteps = 40;
  if (steps == 1) return {static_cast<float>(high), 0};  // where the curve has no first half
  const auto points = static_cast<double>(steps + 2);
  const auto first = static_cast<int64_t>(points * kPivot);
  const double slope = kSlope / (points / kSlopeSteps);
  std::vector<double> curve = tangent_stage(first, slope, static_cast<double>(first), 1, kMiddle);
  curve.pop_back();
  const std::vector<double> second = tangent_stage(steps + 2 - first, slope, 0, kMiddle, 0);
  curve.insert(curve.end(), second.begin(), second.end());
  std::vector<float> values;
  for (const double share : curve) values.push_back(static_cast<float>(share * high));
  values.back() = 0;
  return values;
}

std::vector<float> turbo_sigmas(int64_t steps, const NoiseSchedule& schedule) {
  const auto size = static_cast<double>(schedule.size());
  return from_each(steps, [&](int64_t i) {
    const double level =
        std::nearbyint(static_cast<double>(steps - i) * (size / static_cast<double>(steps)) - 1);
    return schedule.sigmas()[static_cast<size_t>(std::clamp(level, 0.0, size - 1))];
  });
}

std::vector<float> sd_turbo_sigmas(int64_t steps, const NoiseSchedule& schedule) {
  constexpr int64_t kDistilled = 10;
  return from_each(std::min(steps, kDistilled), [&](int64_t i) {
    const int64_t level = (kDistilled - i) * schedule.size() / kDistilled - 1;
    return schedule.sigmas()[static_cast<size_t>(std::max<int64_t>(level, 0))];
  });
}

std::vector<float> ddim_sigmas(int64_t steps, const NoiseSchedule& schedule) {
  std::vector<float> values;
  const int64_t stride = std::max<int64_t>(schedule.size() / steps, 1);
  for (int64_t i = 1; i < schedule.size(); i += stride)
    values.push_back(schedule.sigmas()[static_cast<size_t>(i)]);
  std::reverse(values.begin(), values.end());
  values.push_back(0);
  return values;
}

}  // namespace safelight::diffusion
