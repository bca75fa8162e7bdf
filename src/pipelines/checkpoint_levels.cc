#include "pipelines/checkpoint_levels.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "weights/convert.h"

namespace safelight::pipelines {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using diffusion::EdmRange;
using diffusion::NoiseSchedule;
using diffusion::Prediction;

constexpr uint64_t kMaxSidecar = 1 << 20;

/// Words for a prediction that programs and people use.
struct PredictionName {
  std::string_view name;
  Prediction prediction;
};
constexpr std::array kNames = {PredictionName{"epsilon", Prediction::kEpsilon},
                               PredictionName{"eps", Prediction::kEpsilon},
                               PredictionName{"v", Prediction::kV},
                               PredictionName{"v_prediction", Prediction::kV},
                               PredictionName{"v-prediction", Prediction::kV},
                               PredictionName{"sample", Prediction::kSample},
                               PredictionName{"x0", Prediction::kSample},
                               PredictionName{"edm", Prediction::kEdm}};

bool say_prediction(CheckpointLevels& levels, std::string_view word) {
  const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                   [&](const PredictionName& known) { return known.name == word; });
  if (found == kNames.end()) return false;
  levels.prediction = found->prediction;
  if (found->prediction == Prediction::kEdm) levels.edm = EdmRange{};
  return true;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

bool is_true(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

/// The value of `key: value` in a line of YAML, without quotes and comment; empty for other lines.
std::string yaml_value(std::string_view line, std::string_view key) {
  line = trimmed(line);
  if (!line.starts_with(key) || !line.substr(key.size()).starts_with(':')) return "";
  std::string_view value = line.substr(key.size() + 1);
  value = trimmed(value.substr(0, value.find('#')));
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\''))
    value = value.substr(1, value.find(value.front(), 1) - 1);
  return ascii_lower(value);
}

/// LDM's and SGM's configurations, of which a line tells all.
bool read_yaml(const fs::path& path, CheckpointLevels& levels) {
  const Result<std::string> text = read_file(path, kMaxSidecar);
  if (!text) return false;
  bool told = false, latent_diffusion = false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    told = say_prediction(levels, yaml_value(line, "parameterization")) || told;
    const std::string target = yaml_value(line, "target");
    latent_diffusion = latent_diffusion || target.starts_with("ldm.models.diffusion.");
    if (target.ends_with("denoiser_scaling.vscaling")) told = say_prediction(levels, "v");
    for (const std::string_view key : {"zero_terminal_snr", "rescale_betas_zero_snr", "ztsnr"})
      levels.zero_terminal_snr = levels.zero_terminal_snr || yaml_value(line, key) == "true";
  }
  // LDM's default, which its configurations mostly leave out.
  return told || (latent_diffusion && say_prediction(levels, "eps"));
}

bool read_json(const fs::path& path, CheckpointLevels& levels) {
  const Result<std::string> text = read_file(path, kMaxSidecar);
  if (!text) return false;
  const Result<json::value> parsed = parse_json(*text);
  if (!parsed || !parsed->is_object()) return false;
  const json::object& object = parsed->get_object();
  for (const std::string_view key : {"zero_terminal_snr", "rescale_betas_zero_snr"})
    levels.zero_terminal_snr = levels.zero_terminal_snr || is_true(object, key);
  for (const std::string_view key :
       {"parameterization", "prediction_type", "modelspec.prediction_type"}) {
    if (say_prediction(levels, ascii_lower(text_of(object, key)))) return true;
  }
  return false;
}

bool read_beside(const fs::path& path, CheckpointLevels& levels) {
  for (const char* ending : {".yaml", ".yml", ".json"}) {
    fs::path beside = path;
    beside.replace_extension(ending);
    const bool told =
        std::string_view(ending) == ".json" ? read_json(beside, levels) : read_yaml(beside, levels);
    if (told) return true;
  }
  return false;
}

double number_of(const json::object& object, std::string_view key, double otherwise) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : otherwise;
}

/// The range, or `otherwise` where no schedule can be made of it.
EdmRange sane(const EdmRange& range, const EdmRange& otherwise) {
  const bool good = range.sigma_min >= 1e-6 && range.sigma_max <= 1e6 &&
                    range.sigma_min < range.sigma_max && range.sigma_data >= 1e-3 &&
                    range.sigma_data <= 1e3;
  return good ? range : otherwise;
}

bool read_scheduler(const weights::TensorIndex& index, CheckpointLevels& levels) {
  const auto config = index.configs.find("scheduler");
  if (config == index.configs.end() || !config->second.is_object()) return false;
  const json::object& scheduler = config->second.get_object();
  levels.zero_terminal_snr =
      levels.zero_terminal_snr || is_true(scheduler, "rescale_betas_zero_snr");
  const bool told = say_prediction(levels, text_of(scheduler, "prediction_type"));
  if (!text_of(scheduler, "_class_name").starts_with("EDM")) return told;
  const EdmRange playground;
  levels.edm = sane({.sigma_min = number_of(scheduler, "sigma_min", playground.sigma_min),
                     .sigma_max = number_of(scheduler, "sigma_max", playground.sigma_max),
                     .sigma_data = number_of(scheduler, "sigma_data", playground.sigma_data)},
                    playground);
  // diffusers calls "epsilon" there what EDM predicts.
  if (levels.prediction != Prediction::kV) levels.prediction = Prediction::kEdm;
  return true;
}

bool read_metadata(const weights::TensorIndex& index, CheckpointLevels& levels) {
  for (const std::string_view key : {"modelspec.prediction_type", "modelspec.predict_key"}) {
    const auto found = index.metadata.find(key);
    if (found != index.metadata.end() && say_prediction(levels, ascii_lower(found->second)))
      return true;
  }
  const auto architecture = index.metadata.find("modelspec.architecture");
  return architecture != index.metadata.end() &&
         architecture->second.find("-768-v") != std::string::npos && say_prediction(levels, "v");
}

double scalar(const weights::TensorIndex& index, std::string_view name, double otherwise) {
  const weights::TensorView* tensor = index.find(name);
  if (tensor == nullptr || tensor->count() != 1) return otherwise;
  return weights::to_tensor(*tensor).data[0];
}

/// Tensors that say something by being there, as ComfyUI and Forge write and read them.
bool read_markers(const weights::TensorIndex& index, CheckpointLevels& levels) {
  levels.zero_terminal_snr = levels.zero_terminal_snr || index.contains("ztsnr");
  if (index.contains("edm_mean") && index.contains("edm_std")) return say_prediction(levels, "edm");
  if (index.contains("edm_vpred.sigma_max")) {  // CosXL
    const EdmRange published{.sigma_min = 0.002, .sigma_max = 120, .sigma_data = 1};
    levels.edm = sane({.sigma_min = scalar(index, "edm_vpred.sigma_min", published.sigma_min),
                       .sigma_max = scalar(index, "edm_vpred.sigma_max", published.sigma_max),
                       .sigma_data = 1},
                      published);
    return say_prediction(levels, "v");
  }
  return index.contains("v_pred") && say_prediction(levels, "v");
}

bool read_name(const fs::path& path, CheckpointLevels& levels) {
  const std::string name = ascii_lower(path.filename().string());
  const auto has = [&](std::string_view mark) { return name.find(mark) != std::string::npos; };
  levels.zero_terminal_snr = levels.zero_terminal_snr || has("ztsnr") || has("zsnr");
  if (has("playground-v2.5") || has("playground_v2.5")) return say_prediction(levels, "edm");
  if (has("512-base")) return say_prediction(levels, "epsilon");  // Stable Diffusion 2's
  const bool v = has("v-pred") || has("v_pred") || has("vpred") || has("768-v-") || has("768-v.");
  return v && say_prediction(levels, "v");
}

}  // namespace

NoiseSchedule CheckpointLevels::schedule(Prediction otherwise) const {
  const Prediction known = prediction.value_or(otherwise);
  if (edm) return NoiseSchedule::edm(*edm, known);
  const NoiseSchedule schedule = NoiseSchedule::sd1(known);
  return zero_terminal_snr ? schedule.zero_terminal_snr() : schedule;
}

std::string CheckpointLevels::text() const {
  std::string text;
  if (prediction == Prediction::kV) text += ", v-prediction";
  if (prediction == Prediction::kSample) text += ", picture prediction";
  if (edm) text += ", EDM";
  if (zero_terminal_snr) text += ", zero terminal SNR";
  return text;
}

CheckpointLevels told_levels(const weights::TensorIndex& index, const fs::path& path,
                             std::string_view asked) {
  CheckpointLevels levels;
  const bool told = read_beside(path, levels) || read_scheduler(index, levels) ||
                    read_metadata(index, levels) || read_markers(index, levels) ||
                    read_name(path, levels);
  // Whether there is a picture left at the last level may be told elsewhere than the prediction.
  levels.zero_terminal_snr = levels.zero_terminal_snr || index.contains("ztsnr");
  if (!told) levels.prediction.reset();
  if (asked != "auto") {
    levels.edm.reset();
    say_prediction(levels, asked);
  }
  return levels;
}

Result<Prediction> probe_prediction(LatentModel& model, int64_t width) {
  constexpr int64_t kSide = 8, kTokens = 2;
  constexpr float kValue = 0.5F;
  Conditioning text{.context = Tensor({1, kTokens, width}), .vector = {}};
  Tensor x({1, model.traits().latent_channels, kSide, kSide});
  std::fill(text.context.data.begin(), text.context.data.end(), kValue);
  std::fill(x.data.begin(), x.data.end(), kValue);
  auto predictor = model.predictor({&text}, kSide, kSide, {}, nullptr);
  if (!predictor) return predictor.error();
  const auto output = (**predictor)(x, 999, nullptr);
  if (!output) return output.error();
  double mean = 0;
  for (const float value : output->data) mean += (value - kValue) / static_cast<double>(x.size());
  return mean < -1 ? Prediction::kV : Prediction::kEpsilon;
}

}  // namespace safelight::pipelines
