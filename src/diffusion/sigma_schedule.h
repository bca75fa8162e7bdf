#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "diffusion/noise_schedule.h"

namespace safelight::diffusion {

/// How the noise levels of a run are spread: SD WebUI's "schedule types"
/// (modules/sd_schedulers.py).
enum class Spacing {
  kAutomatic,  ///< the sampler's own
  kUniform,
  kKarras,
  kExponential,
  kSgmUniform,
  kSimple,
  kNormal,
  kDdim,
  kBeta,
};

struct SpacingInfo {
  Spacing spacing;
  std::string_view name;        ///< as SD WebUI shows it
  std::string_view identifier;  ///< as its API and SD.Next take it
  std::string_view description;
};

/// The one list.
std::span<const SpacingInfo> spacings();
const SpacingInfo& info(Spacing spacing);

/// By name or identifier, any case. Errors: kInvalidArgument naming the nearest.
Result<Spacing> find_spacing(std::string_view name);

/// Falling sigmas of a run with 0 behind them: steps + 1 of them, but for kDdim, which counts in
/// whole strides of the table as SD WebUI does. Not for kAutomatic. steps >= 1.
std::vector<float> sigmas(Spacing spacing, int64_t steps, const NoiseSchedule& schedule);

}  // namespace safelight::diffusion
