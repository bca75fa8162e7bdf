#include "diffusion/sigma_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "base/text.h"

namespace safelight::diffusion {
namespace {

constexpr std::array kSpacings = {
    SpacingInfo{Spacing::kAutomatic, "Automatic", "automatic", "the sampler's own"},
    SpacingInfo{Spacing::kUniform, "Uniform", "uniform",
                "evenly spaced timesteps, both ends included (k-diffusion's default)"},
    SpacingInfo{Spacing::kKarras, "Karras", "karras", "Karras et al. 2022, rho 7"},
    SpacingInfo{Spacing::kExponential, "Exponential", "exponential", "evenly spaced in log sigma"},
    SpacingInfo{Spacing::kSgmUniform, "SGM Uniform", "sgm_uniform",
                "evenly spaced timesteps without the last"},
    SpacingInfo{Spacing::kSimple, "Simple", "simple", "every n-th level of the model's table"},
    SpacingInfo{Spacing::kNormal, "Normal", "normal",
                "evenly spaced timesteps between the model's first and last sigma"},
    SpacingInfo{Spacing::kDdim, "DDIM", "ddim", "DDIM's strides through the model's table"},
    SpacingInfo{Spacing::kBeta, "Beta", "beta",
                "quantiles of the beta distribution (0.6, 0.6), Lee et al. 2024"},
};

/// The i-th of n evenly spaced numbers from `first` to `last`; `first` where n is 1.
double spaced(double first, double last, int64_t i, int64_t n) {
  return n < 2 ? first
               : first + (last - first) * static_cast<double>(i) / static_cast<double>(n - 1);
}

std::vector<float> from_each(int64_t steps, const std::function<double(int64_t)>& sigma) {
  std::vector<float> values;
  for (int64_t i = 0; i < steps; ++i) values.push_back(static_cast<float>(sigma(i)));
  values.push_back(0);
  return values;
}

std::vector<float> karras(int64_t steps, double low, double high) {
  constexpr double kRho = 7;
  return from_each(steps, [&](int64_t i) {
    const double root = spaced(std::pow(high, 1 / kRho), std::pow(low, 1 / kRho), i, steps);
    return std::pow(root, kRho);
  });
}

std::vector<float> ddim(int64_t steps, const NoiseSchedule& schedule) {
  std::vector<float> values;
  const int64_t stride = std::max<int64_t>(schedule.size() / steps, 1);
  for (int64_t i = 1; i < schedule.size(); i += stride)
    values.push_back(schedule.sigmas()[static_cast<size_t>(i)]);
  std::reverse(values.begin(), values.end());
  values.push_back(0);
  return values;
}

}  // namespace

std::span<const SpacingInfo> spacings() { return kSpacings; }
const SpacingInfo& info(Spacing spacing) { return kSpacings[static_cast<size_t>(spacing)]; }

Result<Spacing> find_spacing(std::string_view name) {
  const std::string wanted = ascii_lower(trimmed(name));
  std::vector<std::string_view> known;
  for (const SpacingInfo& entry : kSpacings) {
    if (wanted == ascii_lower(entry.name) || wanted == entry.identifier) return entry.spacing;
    known.push_back(entry.name);
  }
  if (wanted.empty()) return Spacing::kAutomatic;
  const std::string_view nearest = nearest_name(trimmed(name), known);
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("schedule '{}' is unknown{}", name,
                           nearest.empty() ? "; 'safelight samplers' lists them"
                                           : fmt::format("; did you mean '{}'?", nearest))};
}

std::vector<float> sigmas(Spacing spacing, int64_t steps, const NoiseSchedule& schedule) {
  const double low = schedule.sigma_min(), high = schedule.sigma_max();
  const auto last = static_cast<double>(schedule.size() - 1);
  switch (spacing) {
    case Spacing::kUniform:
      return from_each(steps, [&](int64_t i) { return schedule.sigma(spaced(last, 0, i, steps)); });
    case Spacing::kKarras:
      return karras(steps, low, high);
    case Spacing::kExponential:
      return from_each(steps, [&](int64_t i) {
        return std::exp(spaced(std::log(high), std::log(low), i, steps));
      });
    case Spacing::kSgmUniform:
      return from_each(steps, [&](int64_t i) {
        return schedule.sigma(
            spaced(schedule.timestep(high), schedule.timestep(low), i, steps + 1));
      });
    case Spacing::kSimple:
      return from_each(steps, [&](int64_t i) {
        const double stride = static_cast<double>(schedule.size()) / static_cast<double>(steps);
        const auto back = static_cast<int64_t>(static_cast<double>(i) * stride);
        return schedule.sigmas()[static_cast<size_t>(schedule.size() - 1 - back)];
      });
    case Spacing::kNormal:
      return from_each(steps, [&](int64_t i) {
        return schedule.sigma(spaced(schedule.timestep(high), schedule.timestep(low), i, steps));
      });
    case Spacing::kDdim:
      return ddim(steps, schedule);
    case Spacing::kBeta:
      return from_each(steps, [&](int64_t i) {
        return low + boost::math::ibeta_inv(0.6, 0.6, 1 - spaced(0, 1, i, steps)) * (high - low);
      });
    case Spacing::kAutomatic:
      break;
  }
  throw std::invalid_argument("sigmas: Automatic is the sampler's to resolve");
}

}  // namespace safelight::diffusion
