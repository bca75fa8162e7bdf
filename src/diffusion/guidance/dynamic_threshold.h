#pragma once

#include <optional>
#include <string_view>

#include "base/tensor.h"

namespace safelight::diffusion {

/// How a scale changes over a run, by the names of the extension "Dynamic Thresholding".
enum class ScaleCurve {
  kConstant,
  kLinearDown,
  kCosineDown,
  kHalfCosineDown,
  kLinearUp,
  kCosineUp,
  kHalfCosineUp,
  kPowerUp,
  kPowerDown,
  kLinearRepeating,
  kCosineRepeating,
  kSawtooth,
};

/// By its name with hyphens, such as "half-cosine-down"; nothing for another.
std::optional<ScaleCurve> find_scale_curve(std::string_view name);

/// A scale that follows a curve down to `minimum`. `parameter`: the power of the power curves, or
/// how often the repeating ones repeat.
double scale_at(ScaleCurve curve, double scale, double minimum, double parameter, double progress);

struct ThresholdOptions {
  double mimic_scale = 7;  ///< the guidance scale whose contrast is kept
  double percentile = 1;   ///< of the deviations, the largest that counts; in [0, 1]
  ScaleCurve mimic_curve = ScaleCurve::kConstant, cfg_curve = ScaleCurve::kConstant;
  double mimic_minimum = 0, cfg_minimum = 0, curve_parameter = 4;
  bool separate_channels = true;    ///< contrast is measured in each channel
  bool from_mean = true;            ///< values are scaled about their mean, else about zero
  bool standard_deviation = false;  ///< contrast is the standard deviation, else the largest one
  double strength = 1;              ///< mixes with the guided picture as it was
};

/// Guidance whose contrast is that of a lesser scale ("CFG scale fix": the extension "Dynamic
/// Thresholding" of SD WebUI and ComfyUI, after Saharia et al. 2022, section 2.3). Pictures
/// [B, C, h, w] that the model sees with the negative and with the prompt -> the guided ones, each
/// by its own contrast. `progress`: how much of the run is done, in [0, 1].
Tensor threshold_guided(const Tensor& uncond, const Tensor& cond, double scale,
                        const ThresholdOptions& options, double progress);

}  // namespace safelight::diffusion
