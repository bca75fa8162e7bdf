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
  kPolyexponential,
  kKlOptimal,
  kAlignYourSteps,
  kAlignYourStepsGits,
  kLinearQuadratic,
  kBongTangent,
  kTurbo,
  kSdTurbo,
};

struct SpacingInfo {
  Spacing spacing;
  std::string_view name;        ///< as SD WebUI shows it
  std::string_view identifier;  ///< as its API and SD.Next take it
  std::string_view aliases;     ///< of other programs, separated by commas
  std::string_view description;
};

/// Whose levels "Align Your Steps" follows.
enum class AlignedSteps { kSd1, kSdxl };

/// What users may change of a schedule; what it acts on is in docs/samplers.md.
struct SigmaOptions {
  double sigma_min = 0, sigma_max = 0;       ///< the ends; 0 for the model's own
  double rho = 0;                            ///< of Karras and Polyexponential; 0 for their own
  double beta_alpha = 0.6, beta_beta = 0.6;  ///< of Beta
  AlignedSteps aligned = AlignedSteps::kSd1;
};
/// Errors: kInvalidArgument for numbers that span nothing with this model.
Status check(const SigmaOptions& options, const NoiseSchedule& schedule);

/// The ends of a schedule: those that were asked for, or the model's.
struct SigmaRange {
  double low, high;
};
SigmaRange range(const SigmaOptions& options, const NoiseSchedule& schedule);

/// The one list.
std::span<const SpacingInfo> spacings();
const SpacingInfo& info(Spacing spacing);

/// By name, identifier or alias, any case. Errors: kInvalidArgument naming the nearest;
/// kUnsupported for those of flow models.
Result<Spacing> find_spacing(std::string_view name);

/// Falling sigmas of a run with 0 behind them (kKlOptimal ends at the lowest level instead):
/// steps + 1 of them, but for kDdim, which counts in whole strides of the table as SD WebUI does,
/// and kSdTurbo, which has ten levels. Not for kAutomatic. steps >= 1; the options pass check().
std::vector<float> sigmas(Spacing spacing, int64_t steps, const NoiseSchedule& schedule,
                          const SigmaOptions& options = {});

/// Whether a list of names separated by commas has that one.
bool has_name(std::string_view names, std::string_view name);

/// Whether a sampler's or schedule's name is one of flow models' ("Euler FlowMatch"), of which
/// there are none here.
bool names_flow_match(std::string_view lower_name);

}  // namespace safelight::diffusion
