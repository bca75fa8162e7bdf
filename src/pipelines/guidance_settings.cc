#include "pipelines/guidance_settings.h"

#include <fmt/format.h>

namespace safelight::pipelines {
namespace {

using request::Request;

GuidanceMethod method_of(const std::string& name) {
  if (name == "zero-star") return GuidanceMethod::kZeroStar;
  if (name == "apg") return GuidanceMethod::kProjected;
  if (name == "dynamic-threshold") return GuidanceMethod::kThreshold;
  return GuidanceMethod::kClassifierFree;
}

diffusion::ScaleCurve curve_of(const std::string& name) {
  return diffusion::find_scale_curve(name).value_or(diffusion::ScaleCurve::kConstant);
}

diffusion::ThresholdOptions threshold_of(const Request& request) {
  return {.mimic_scale = request.dynthres_mimic_scale,
          .percentile = request.dynthres_threshold_percentile / 100,
          .mimic_curve = curve_of(request.dynthres_mimic_mode),
          .cfg_curve = curve_of(request.dynthres_cfg_mode),
          .mimic_minimum = request.dynthres_mimic_scale_min,
          .cfg_minimum = request.dynthres_cfg_scale_min,
          .curve_parameter = request.dynthres_sched_val,
          .separate_channels = request.dynthres_separate_feature_channels == "on",
          .from_mean = request.dynthres_scaling_startpoint == "mean",
          .standard_deviation = request.dynthres_variability_measure == "std",
          .strength = request.dynthres_interpolate_phi};
}

}  // namespace

Result<GuidanceSettings> GuidanceSettings::of(const Request& request, const ModelTraits& traits) {
  GuidanceSettings settings{
      .method = method_of(request.guidance),
      .scale = request.cfg_scale,
      .rescale = request.cfg_rescale,
      .start = request.guidance_start,
      .end = request.guidance_end,
      .projection = {request.apg_eta, request.apg_momentum, request.apg_norm_threshold},
      .threshold = threshold_of(request),
      .skips = {request.skip_early_cond, request.s_min_uncond, request.s_min_uncond_all == "on"},
      .pag_scale = request.pag_scale,
      .pag_adaptive = request.pag_adaptive,
      .sag_scale = request.sag_scale,
      .degrade = {request.sag_blur_sigma, request.sag_mask_threshold}};
  if (settings.method == GuidanceMethod::kZeroStar)
    settings.zero_init_steps = request.zero_init_steps;
  if (request.cfg_rescale > 0 && (settings.method == GuidanceMethod::kProjected ||
                                  settings.method == GuidanceMethod::kThreshold)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("cfg_rescale is {}; with guidance '{}', which limits contrast itself, "
                             "only 0 is possible",
                             request.cfg_rescale, request.guidance)};
  }
  if (settings.pag_scale > 0) {
    auto layers = traits.self_attentions.find(request.pag_layers);
    if (!layers) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("pag_layers: {}", layers.error().message)};
    }
    settings.perturbed = std::move(*layers);
  }
  if (settings.sag_scale > 0 && traits.self_attentions.middle == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("sag_scale is {}; this model has no self-attention in its middle "
                             "block, so only 0 is possible",
                             request.sag_scale)};
  }
  return settings;
}

}  // namespace safelight::pipelines
