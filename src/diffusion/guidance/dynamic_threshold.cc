#include "diffusion/guidance/dynamic_threshold.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "diffusion/guidance.h"

namespace safelight::diffusion {
namespace {

constexpr std::array<std::string_view, 12> kCurveNames = {
    "constant",   "linear-down",      "cosine-down",      "half-cosine-down",
    "linear-up",  "cosine-up",        "half-cosine-up",   "power-up",
    "power-down", "linear-repeating", "cosine-repeating", "sawtooth"};

double fraction_of(double x) { return x - std::floor(x); }

/// The share of the way from the minimum to the scale.
double curve_share(ScaleCurve curve, double parameter, double t) {
  constexpr double kQuarter = 1.5707, kTurn = 6.28318;  // the extension's pi / 2 and 2 pi
  switch (curve) {
    case ScaleCurve::kConstant:
      return 1;
    case ScaleCurve::kLinearDown:
      return 1 - t;
    case ScaleCurve::kCosineDown:
      return std::cos(t * kQuarter);
    case ScaleCurve::kHalfCosineDown:
      return std::cos(t);
    case ScaleCurve::kLinearUp:
      return t;
    case ScaleCurve::kCosineUp:
      return 1 - std::cos(t * kQuarter);
    case ScaleCurve::kHalfCosineUp:
      return 1 - std::cos(t);
    case ScaleCurve::kPowerUp:
      return std::pow(t, parameter);
    case ScaleCurve::kPowerDown:
      return 1 - std::pow(t, parameter);
    case ScaleCurve::kLinearRepeating:
      return std::abs(1 - 2 * fraction_of(t * parameter));
    case ScaleCurve::kCosineRepeating:
      return std::cos(kTurn * t * parameter) / 2 + 0.5;
    case ScaleCurve::kSawtooth:
      return fraction_of(t * parameter);
  }
  return 1;
}

double mean_of(std::span<const float> values) {
  double total = 0;
  for (const float value : values) total += value;
  return total / static_cast<double>(values.size());
}

/// torch's quantile: between two values in a straight line.
double quantile(std::vector<double>& values, double q) {
  const double place = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(place);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), at, values.end());
  if (low + 1 >= values.size()) return *at;
  const double above = *std::min_element(at + 1, values.end());
  return *at + (place - static_cast<double>(low)) * (above - *at);
}

/// How far values that lie about their means reach: a standard deviation (n - 1), or the quantile
/// of their sizes.
double contrast(std::vector<double>& centred, bool standard_deviation, double percentile) {
  if (!standard_deviation) {
    for (double& value : centred) value = std::abs(value);
    return quantile(centred, percentile);
  }
  double mean = 0, squares = 0;
  for (const double value : centred) mean += value / static_cast<double>(centred.size());
  for (const double value : centred) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(centred.size() - 1));
}

/// The values of some channels less the mean of each.
std::vector<double> centred(std::span<const float> values, int64_t channels) {
  std::vector<double> result;
  result.reserve(values.size());
  const size_t size = values.size() / static_cast<size_t>(channels);
  for (size_t at = 0; at < values.size(); at += size) {
    const std::span<const float> channel = values.subspan(at, size);
    const double mean = mean_of(channel);
    for (const float value : channel) result.push_back(value - mean);
  }
  return result;
}

/// Gives channels of one picture the contrast of `mimic`.
void threshold(std::span<float> values, std::span<const float> mimic, int64_t channels,
               const ThresholdOptions& options) {
  const std::vector<double> own = centred(values, channels);
  std::vector<double> sizes = own, mimic_sizes = centred(mimic, channels);
  const double wanted = contrast(mimic_sizes, options.standard_deviation, 1),
               reached = contrast(sizes, options.standard_deviation, options.percentile);
  // The deviations' limit, and what they are multiplied by to have the contrast that is wanted.
  const bool clamps = options.from_mean && !options.standard_deviation;
  const double limit = clamps ? std::max(wanted, reached) : reached;
  if (!(limit > 0)) return;
  const double factor = wanted / limit;
  for (size_t i = 0; i < values.size(); ++i) {
    const double mean = values[i] - own[i];
    const double deviation = clamps ? std::clamp(own[i], -limit, limit) : own[i];
    const double scaled = options.from_mean ? mean + deviation * factor : values[i] * factor;
    values[i] = static_cast<float>(options.strength * scaled + (1 - options.strength) * values[i]);
  }
}

}  // namespace

std::optional<ScaleCurve> find_scale_curve(std::string_view name) {
  const auto* const found = std::find(kCurveNames.begin(), kCurveNames.end(), name);
  if (found == kCurveNames.end()) return std::nullopt;
  return static_cast<ScaleCurve>(found - kCurveNames.begin());
}

double scale_at(ScaleCurve curve, double scale, double minimum, double parameter, double progress) {
  return minimum + (scale - minimum) * curve_share(curve, parameter, progress);
}

Tensor threshold_guided(const Tensor& uncond, const Tensor& cond, double scale,
                        const ThresholdOptions& options, double progress) {
  const Tensor mimic = guided(uncond, cond,
                              scale_at(options.mimic_curve, options.mimic_scale,
                                       options.mimic_minimum, options.curve_parameter, progress));
  Tensor result = guided(
      uncond, cond,
      scale_at(options.cfg_curve, scale, options.cfg_minimum, options.curve_parameter, progress));
  const int64_t pictures = cond.shape.at(0), channels = cond.shape.at(1);
  const int64_t groups = options.separate_channels ? pictures * channels : pictures;
  const auto size = static_cast<size_t>(cond.size() / groups);
  for (size_t g = 0; g < static_cast<size_t>(groups); ++g) {
    threshold(std::span(result.data).subspan(g * size, size),
              std::span(mimic.data).subspan(g * size, size),
              options.separate_channels ? 1 : channels, options);
  }
  return result;
}

}  // namespace safelight::diffusion
