#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>

#include "api/sdapi/txt2img.h"
#include "base/text.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

/// A field that asks for something that is not there, unless it is null, false, 0, empty, "None" or
/// one of its own values that change nothing.
struct AbsentFeature {
  std::string_view field;
  std::string_view neutral;  ///< texts separated by '|', lower case
  std::string_view what;
};

constexpr std::array kAbsent = {
    AbsentFeature{"init_images", "", "pictures to start from"},
    AbsentFeature{"mask", "", "inpainting"},
    AbsentFeature{"enable_hr", "", "the second pass in a higher resolution"},
    AbsentFeature{"script_name", "", "scripts"},
    AbsentFeature{"restore_faces", "", "face restoration"},
    AbsentFeature{"tiling", "", "pictures that tile"},
    AbsentFeature{"controlnet_units", "", "ControlNet"},
    AbsentFeature{"control_units", "", "ControlNet"},
    AbsentFeature{"control", "", "ControlNet"},
    AbsentFeature{"init_control", "", "ControlNet"},
    AbsentFeature{"ip_adapter", "", "IP adapters"},
    AbsentFeature{"face", "", "face adapters"},
    AbsentFeature{"detailer_enabled", "", "the detailer"},
    AbsentFeature{"enhance_prompt", "", "prompt enhancement"},
    AbsentFeature{"vae_type", "full|tiny|taesd", "other ways to decode"},
    AbsentFeature{"cfg_image", "", "image guidance"},
    AbsentFeature{"hidiffusion", "", "HiDiffusion"},
    AbsentFeature{"freeu_enabled", "", "FreeU"},
    AbsentFeature{"teacache_enabled", "", "TeaCache"},
    AbsentFeature{"hypertile_unet_enabled", "", "HyperTile"},
    AbsentFeature{"hypertile_vae_enabled", "", "HyperTile"},
    AbsentFeature{"hdr_mode", "", "latent corrections"},
    AbsentFeature{"hdr_brightness", "", "latent corrections"},
    AbsentFeature{"hdr_color", "", "latent corrections"},
    AbsentFeature{"hdr_sharpen", "", "latent corrections"},
    AbsentFeature{"hdr_clamp", "", "latent corrections"},
    AbsentFeature{"hdr_maximize", "", "latent corrections"},
    AbsentFeature{"hdr_tint_ratio", "", "latent corrections"},
    AbsentFeature{"grading_brightness", "", "colour grading"},
    AbsentFeature{"grading_contrast", "", "colour grading"},
    AbsentFeature{"grading_saturation", "", "colour grading"},
    AbsentFeature{"grading_hue", "", "colour grading"},
    AbsentFeature{"grading_sharpness", "", "colour grading"},
    AbsentFeature{"grading_shadows", "", "colour grading"},
    AbsentFeature{"grading_midtones", "", "colour grading"},
    AbsentFeature{"grading_highlights", "", "colour grading"},
    AbsentFeature{"grading_clahe_clip", "", "colour grading"},
    AbsentFeature{"grading_vignette", "", "colour grading"},
    AbsentFeature{"grading_grain", "", "colour grading"},
    AbsentFeature{"grading_lut_file", "", "colour grading"},
    AbsentFeature{"schedulers_beta_schedule", "default", "another noise schedule than the model's"},
    AbsentFeature{"schedulers_timestep_spacing", "default",
                  "another spacing than 'scheduler' says"},
    AbsentFeature{"schedulers_timesteps", "", "own timesteps"},
    AbsentFeature{"schedulers_use_thresholding", "", "thresholding"},
    AbsentFeature{"schedulers_rescale_betas", "", "rescaled betas"},
};

bool in_list(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::string_view entry = list.substr(0, list.find('|'));
    if (entry == word) return true;
    list.remove_prefix(std::min(entry.size() + 1, list.size()));
  }
  return false;
}

bool means_nothing(const json::value& value, std::string_view neutral);

/// An object with a switch is off with it; another when all of it means nothing.
bool object_means_nothing(const json::object& object) {
  for (const std::string_view key : {"enabled", "enable", "is_enabled"}) {
    if (const json::value* found = object.if_contains(key)) return means_nothing(*found, "");
  }
  return std::all_of(object.begin(), object.end(),
                     [](const auto& member) { return means_nothing(member.value(), ""); });
}

bool means_nothing(const json::value& value, std::string_view neutral) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.get_bool();
  if (value.is_number()) return value.to_number<double>() == 0;
  if (value.is_string()) {
    const std::string text = ascii_lower(std::string_view(value.get_string()));
    return text.empty() || text == "none" || in_list(neutral, text);
  }
  if (value.is_object()) return object_means_nothing(value.get_object());
  const json::array& array = value.get_array();
  return std::all_of(array.begin(), array.end(),
                     [](const json::value& each) { return means_nothing(each, ""); });
}

/// The arguments of an always-on script of SD WebUI. By custom the first says whether it is on.
bool script_is_off(const json::value& script) {
  const json::value* args = script.is_object() ? script.get_object().if_contains("args") : nullptr;
  if (args == nullptr) return means_nothing(script, "");
  if (args->is_array() && !args->get_array().empty() && args->get_array()[0].is_bool() &&
      !args->get_array()[0].get_bool()) {
    return true;
  }
  return means_nothing(*args, "");
}

Status check_scripts(const json::value& scripts) {
  if (scripts.is_null()) return {};
  if (!scripts.is_object()) {
    return Error{ErrorCode::kInvalidArgument,
                 "alwayson_scripts is a JSON object: {\"name\": {\"args\": [...]}}"};
  }
  for (const auto& [name, script] : scripts.get_object()) {
    if (script_is_off(script)) continue;
    return Error{ErrorCode::kUnsupported,
                 fmt::format("alwayson_scripts has '{}', and there is no such script here; leave "
                             "it out or switch it off",
                             utf8_prefix(std::string_view(name), 80))};
  }
  return {};
}

}  // namespace

Status check_absent_features(const json::object& body) {
  for (const AbsentFeature& feature : kAbsent) {
    const json::value* value = body.if_contains(feature.field);
    if (value == nullptr || means_nothing(*value, feature.neutral)) continue;
    std::string shown = json::serialize(*value);
    if (shown.size() > 80) shown = std::string(utf8_prefix(shown, 80)) + "...";
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} is {}, and this server does not have {}; leave the field out",
                             feature.field, shown, feature.what)};
  }
  const json::value* scripts = body.if_contains("alwayson_scripts");
  return scripts != nullptr ? check_scripts(*scripts) : Status();
}

}  // namespace safelight::api::sdapi
