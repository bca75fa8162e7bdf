#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "diffusion/noise_schedule.h"
#include "pipelines/latent_model.h"
#include "weights/tensor_index.h"

namespace safelight::pipelines {

/// What a checkpoint predicts and at which noise levels, as far as something tells.
struct CheckpointLevels {
  std::optional<diffusion::Prediction> prediction;
  bool zero_terminal_snr = false;
  std::optional<diffusion::EdmRange> edm;  ///< for one that was trained on continuous levels

  /// With `otherwise` where the prediction is not told.
  diffusion::NoiseSchedule schedule(diffusion::Prediction otherwise) const;
  /// What is told and is not what most predict, as words behind a model's name: ", v-prediction".
  std::string text() const;
};

/// What is told, by the first of these that says something: `asked` ("epsilon", "v", "sample",
/// "edm"; "auto" leaves it to the rest); a YAML or JSON file beside the checkpoint (model.yaml with
/// `parameterization: "v"`, as SD WebUI reads); diffusers' scheduler_config.json; the metadata
/// modelspec.prediction_type or predict_key; marker tensors (v_pred, ztsnr, edm_mean,
/// edm_vpred.sigma_max); the file's name.
CheckpointLevels told_levels(const weights::TensorIndex& index, const std::filesystem::path& path,
                             std::string_view asked);

/// Finds out what an SD 2.x model predicts from one evaluation, as SD WebUI does
/// (modules/sd_models_config.py, is_using_v_parameterization_for_sd2): of nearly pure noise, one
/// that predicts noise gives about that back, one that predicts v does not. `width` is that of its
/// text. Errors: those of the engine.
Result<diffusion::Prediction> probe_prediction(LatentModel& model, int64_t width);

}  // namespace safelight::pipelines
