#include "request/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "request/lora_list.h"

namespace safelight::request {
namespace {

namespace json = boost::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr auto kSeedLimit = static_cast<double>(kMaxSeed);
constexpr double kMostSigma = 10000;  // zero-terminal-SNR models reach 4519
constexpr double kLeastRho = 0.1;
/// A switch of SD WebUI's that has "on" beside our own way; its true and false are "on" and "auto".
constexpr std::string_view kAutoOnOff = "auto on off";

/// How a scale changes over a run: see diffusion::ScaleCurve.
constexpr std::string_view kScaleCurves =
    "constant linear-down cosine-down half-cosine-down linear-up cosine-up half-cosine-up power-up "
    "power-down linear-repeating cosine-repeating sawtooth";

// clang-format off
constexpr std::array kFields = {
    Field{"prompt", "", "", "", &Request::prompt, 0, 0, "", "what to draw; (word:1.2), [word], BREAK as in SD WebUI"},
    Field{"negative_prompt", "negative", "--negative,-n", "", &Request::negative_prompt, 0, 0, "",
          "what not to draw"},
    Field{"model", "sd_model_checkpoint checkpoint", "-m", "Model", &Request::model, 0, 0, "",
          "model: name, \"name [hash]\" or path"},
    Field{"vae", "sd_vae", "", "VAE", &Request::vae, 0, 0, "",
          "VAE: name or path; Automatic is one beside the checkpoint, else the checkpoint's own; None is its own"},
    Field{"unet", "sd_unet", "", "UNet", &Request::unet, 0, 0, "", "UNet from a file of its own: name or path"},
    Field{"text_encoder", "sd_text_encoder", "", "Text encoder", &Request::text_encoder, 0, 0, "",
          "text encoders from files of their own (CLIP-L, OpenCLIP-H, OpenCLIP-bigG): names or paths, separated by commas"},
    Field{"prediction", "prediction_type schedulers_prediction_type", "", "Prediction type", &Request::prediction, 0, 0, "auto epsilon v sample edm",
          "what the model predicts; auto: as its file tells, or a try finds out"},
    Field{"noise_schedule", "sd_noise_schedule", "", "Noise Schedule", &Request::noise_schedule, 0, 0,
          "default zero-terminal-snr", "the model's noise levels; zero-terminal-snr: none of the picture left at the last"},
    Field{"vae_decoder", "sd_vae_decode_method vae_type", "", "VAE Decoder", &Request::vae_decoder, 0, 0, "full taesd",
          "draw with the VAE, or with TAESD's tiny one: much faster, a little coarser"},
    Field{"refiner", "refiner_checkpoint", "", "Refiner", &Request::refiner, 0, 0, "",
          "model that goes on with the picture after a part of the steps"},
    Field{"refiner_switch_at", "", "", "Refiner switch at", &Request::refiner_switch_at, 0, 1, "",
          "fraction of the steps after which the refiner goes on"},
    Field{"refiner_start", "", "", "Refiner start", &Request::refiner_start, 0, 1, "",
          "the same as a fraction of the model's timesteps, counted from the noise; in place of refiner_switch_at; 0 is off"},
    Field{"steps", "", "-s", "Steps", &Request::steps, 1, 1000, "", "sampling steps"},
    Field{"sampler", "sampler_name", "", "Sampler", &Request::sampler, 0, 0, "",
          "sampler, by SD WebUI's names (see 'safelight samplers')"},
    Field{"schedule", "scheduler schedule_type", "", "Schedule type", &Request::schedule, 0, 0, "",
          "noise schedule; Automatic is the sampler's own"},
    Field{"cfg_scale", "guidance_scale", "--cfg", "CFG scale", &Request::cfg_scale, 0, 1000, "",
          "guidance scale: how closely to follow the prompt; 1 is off"},
    Field{"seed", "", "", "Seed", &Request::seed, -1, kSeedLimit, "", "seed of the first picture; -1 draws one"},
    Field{"width", "", "-W", "", &Request::width, 0, static_cast<double>(kMaxSide), "",
          "width in pixels, a multiple of 8; 0 is the model's own"},
    Field{"height", "", "-H", "", &Request::height, 0, static_cast<double>(kMaxSide), "",
          "height in pixels, a multiple of 8; 0 is the model's own"},
    Field{"batch_size", "", "-b", "", &Request::batch_size, 1, 64, "", "pictures drawn together; seeds count up"},
    Field{"batch_count", "n_iter n", "", "", &Request::batch_count, 1, 10000, "", "batches, one after the other"},
    Field{"clip_skip", "CLIP_stop_at_last_layers", "", "Clip skip", &Request::clip_skip, 1, 24, "",
          "stop the text encoder this many layers from its end, counted as in SD WebUI: 1 is the last"},
    Field{"original_width", "", "", "Original width", &Request::original_width, 0, static_cast<double>(kMaxSide), "",
          "what SDXL is told of the width that the picture had before it was scaled; 0 is the picture's"},
    Field{"original_height", "", "", "Original height", &Request::original_height, 0, static_cast<double>(kMaxSide), "",
          "the same of the height"},
    Field{"crop_left", "sdxl_crop_left", "", "Crop left", &Request::crop_left, 0, static_cast<double>(kMaxSide), "",
          "what SDXL is told was cut off at the left, in pixels"},
    Field{"crop_top", "sdxl_crop_top", "", "Crop top", &Request::crop_top, 0, static_cast<double>(kMaxSide), "",
          "the same at the top"},
    Field{"target_width", "", "", "Target width", &Request::target_width, 0, static_cast<double>(kMaxSide), "",
          "what SDXL is told of the width that the picture is to have; 0 is the picture's"},
    Field{"target_height", "", "", "Target height", &Request::target_height, 0, static_cast<double>(kMaxSide), "",
          "the same of the height"},
    Field{"aesthetic_score", "sdxl_refiner_high_aesthetic_score", "", "Aesthetic score", &Request::aesthetic_score, 0, 10,
          "", "beauty that SDXL's refiner is told of with the prompt"},
    Field{"negative_aesthetic_score", "sdxl_refiner_low_aesthetic_score", "", "Negative aesthetic score",
          &Request::negative_aesthetic_score, 0, 10, "", "the same with the negative prompt"},
    Field{"subseed", "variation_seed", "", "Variation seed", &Request::subseed, -1, kSeedLimit, "",
          "variation seed; -1 draws one"},
    Field{"subseed_strength", "variation_seed_strength", "", "Variation seed strength", &Request::subseed_strength,
          0, 1, "", "how far to go from the seed's noise to the variation seed's"},
    Field{"seed_resize_from_w", "", "", "", &Request::seed_resize_from_w, 0, static_cast<double>(kMaxSide), "",
          "draw the noise of a picture of this width; 0 is off"},
    Field{"seed_resize_from_h", "", "", "", &Request::seed_resize_from_h, 0, static_cast<double>(kMaxSide), "",
          "draw the noise of a picture of this height; 0 is off"},
    Field{"noise_source", "randn_source rng", "", "RNG", &Request::noise_source, 0, 0, "cpu nv",
          "random numbers: cpu (torch's generator) or nv (as on NVIDIA GPUs)"},
    Field{"eta_noise_seed_delta", "ensd", "--ensd", "ENSD", &Request::eta_noise_seed_delta, -kSeedLimit, kSeedLimit, "",
          "added to the seed for the noise that samplers add"},
    Field{"emphasis", "", "", "Emphasis", &Request::emphasis, 0, 0, "original no-norm ignore comfyui",
          "what weights in the prompt do: original (mean restored), no-norm, ignore, comfyui (away from the empty prompt)"},
    Field{"cfg_rescale", "guidance_rescale", "", "CFG rescale", &Request::cfg_rescale, 0, 1, "",
          "pull the guided prediction back to the contrast of the unguided one"},
    Field{"guidance_start", "", "", "Guidance start", &Request::guidance_start, 0, 1, "",
          "fraction of the steps before which guidance is off"},
    Field{"guidance_end", "guidance_stop cfg_end", "", "Guidance end", &Request::guidance_end, 0, 1, "",
          "fraction of the steps after which guidance is off"},
    Field{"guidance", "guidance_name", "", "Guidance", &Request::guidance, 0, 0, "cfg zero-star apg dynamic-threshold",
          "way of guidance: cfg, zero-star (CFG-Zero*), apg (adaptive projected), dynamic-threshold (CFG scale fix)"},
    Field{"zero_init_steps", "zerostar_init_steps cfgzero_steps", "", "Zero init steps", &Request::zero_init_steps, 0, 1000,
          "", "with guidance zero-star: first steps that predict nothing; for flow models"},
    Field{"apg_eta", "", "", "APG Eta", &Request::apg_eta, -2, 2, "",
          "with guidance apg: share of the direction along the picture, which makes colours saturate"},
    Field{"apg_momentum", "", "", "APG Momentum", &Request::apg_momentum, -1, 1, "",
          "with guidance apg: share of earlier directions; negative goes against them"},
    Field{"apg_norm_threshold", "apg_threshold apg_rescale", "", "APG Threshold", &Request::apg_norm_threshold, 0, 1000, "",
          "with guidance apg: longest direction, by its norm; 0 is any"},
    Field{"dynthres_mimic_scale", "", "", "Mimic scale", &Request::dynthres_mimic_scale, 0, 100, "",
          "with guidance dynamic-threshold: the guidance scale whose contrast is kept"},
    Field{"dynthres_threshold_percentile", "", "", "Threshold percentile", &Request::dynthres_threshold_percentile, 0, 100,
          "", "with guidance dynamic-threshold: percentile of the values above which they are cut"},
    Field{"dynthres_mimic_mode", "", "", "Mimic mode", &Request::dynthres_mimic_mode, 0, 0, kScaleCurves,
          "with guidance dynamic-threshold: how the mimic scale changes over the run"},
    Field{"dynthres_mimic_scale_min", "", "", "Mimic scale minimum", &Request::dynthres_mimic_scale_min, 0, 100, "",
          "with dynthres_mimic_mode: lowest mimic scale"},
    Field{"dynthres_cfg_mode", "", "", "CFG mode", &Request::dynthres_cfg_mode, 0, 0, kScaleCurves,
          "with guidance dynamic-threshold: how the guidance scale changes over the run"},
    Field{"dynthres_cfg_scale_min", "", "", "CFG scale minimum", &Request::dynthres_cfg_scale_min, 0, 100, "",
          "with dynthres_cfg_mode: lowest guidance scale"},
    Field{"dynthres_sched_val", "dynthres_power_val", "", "Scheduler value", &Request::dynthres_sched_val, 0, 100, "",
          "with the power modes of dynamic-threshold the power, with the repeating ones how often"},
    Field{"dynthres_separate_feature_channels", "", "", "Separate Feature Channels",
          &Request::dynthres_separate_feature_channels, 0, 0, kSwitch,
          "with guidance dynamic-threshold: each channel has its own contrast"},
    Field{"dynthres_scaling_startpoint", "", "", "Scaling Startpoint", &Request::dynthres_scaling_startpoint, 0, 0,
          "mean zero", "with guidance dynamic-threshold: what values are scaled about"},
    Field{"dynthres_variability_measure", "", "", "Variability Measure", &Request::dynthres_variability_measure, 0, 0,
          "ad std", "with guidance dynamic-threshold: contrast by largest (ad) or standard deviation (std)"},
    Field{"dynthres_interpolate_phi", "", "", "Interpolate Phi", &Request::dynthres_interpolate_phi, 0, 1, "",
          "with guidance dynamic-threshold: how far it acts"},
    Field{"pag_scale", "cfg_true", "", "PAG scale", &Request::pag_scale, 0, 100, "",
          "perturbed-attention guidance: away from what the model draws without looking around; 3 is usual, 0 is off"},
    Field{"pag_adaptive", "cfg_adaptive pag_adaptive_scale", "", "PAG adaptive", &Request::pag_adaptive, 0, 1, "",
          "with pag_scale: by how much it falls with each timestep below 1000"},
    Field{"pag_layers", "pag_apply_layers pag_applied_layers", "", "PAG layers", &Request::pag_layers, 0, 0, "",
          "with pag_scale: self-attentions that are perturbed: down, mid, up, or numbered as d4, m0, u2-5"},
    Field{"sag_scale", "", "", "SAG Guidance Scale", &Request::sag_scale, 0, 100, "",
          "self-attention guidance: away from what the model draws where it looks at a blur; 0.75 is usual, 0 is off"},
    Field{"sag_blur_sigma", "", "", "SAG Blur Sigma", &Request::sag_blur_sigma, 0, 10, "",
          "with sag_scale: width of the blur in latents"},
    Field{"sag_mask_threshold", "sag_threshold", "", "SAG Mask Threshold", &Request::sag_mask_threshold, 0, 100, "",
          "with sag_scale: attention above which a place is blurred; 1 is the mean"},
    Field{"skip_early_cond", "", "", "Skip Early CFG", &Request::skip_early_cond, 0, 1, "",
          "leave the negative prompt out up to this fraction of the steps; 0 is off"},
    Field{"s_min_uncond", "", "", "NGMS", &Request::s_min_uncond, 0, 15, "",
          "leave the negative prompt out of every other step below this sigma: faster; 0 is off"},
    Field{"s_min_uncond_all", "", "", "NGMS all steps", &Request::s_min_uncond_all, 0, 0, kSwitch,
          "with s_min_uncond: of every step"},
    Field{"token_merging_ratio", "", "", "Token merging ratio", &Request::token_merging_ratio, 0, 0.9, "",
          "merge this share of the tokens for self-attention: faster, another picture; 0 is off"},
    Field{"deep_cache_interval", "", "", "Deep cache interval", &Request::deep_cache_interval, 1, 100, "",
          "run the whole network in one of so many steps, else its outer blocks: faster, another picture; 1 is off"},
    Field{"deep_cache_depth", "", "", "Deep cache depth", &Request::deep_cache_depth, 1, 32, "",
          "with deep_cache_interval: input and output blocks that run in every step"},
    Field{"eta", "", "", "Eta", &Request::eta, 0, 10, "", "noise that ancestral samplers and DDIM add; theirs if not given"},
    Field{"s_churn", "", "", "Sigma churn", &Request::s_churn, 0, 100, "",
          "stochasticity of Euler, Heun, HeunPP2 and DPM2"},
    Field{"s_tmin", "", "", "Sigma tmin", &Request::s_tmin, 0, 1e6, "", "lowest sigma at which s_churn acts"},
    Field{"s_tmax", "", "", "Sigma tmax", &Request::s_tmax, 0, kInfinity, "", "highest sigma at which s_churn acts"},
    Field{"s_noise", "", "", "Sigma noise", &Request::s_noise, 0, 10, "", "scale of the noise that samplers add"},
    Field{"sigma_min", "", "", "Schedule min sigma", &Request::sigma_min, 0, kMostSigma, "",
          "lowest noise level of the schedule; 0 is the model's own"},
    Field{"sigma_max", "", "", "Schedule max sigma", &Request::sigma_max, 0, kMostSigma, "",
          "highest noise level of the schedule; 0 is the model's own"},
    Field{"rho", "", "", "Schedule rho", &Request::rho, 0, 100, "",
          "how steeply the schedules Karras and Polyexponential fall, from 0.1; 0 is theirs (7 and 1)"},
    Field{"beta_alpha", "beta_dist_alpha", "", "Beta schedule alpha", &Request::beta_alpha, 0.01, 10, "",
          "alpha of the schedule Beta"},
    Field{"beta_beta", "beta_dist_beta", "", "Beta schedule beta", &Request::beta_beta, 0.01, 10, "",
          "beta of the schedule Beta"},
    Field{"discard_penultimate_sigma", "always_discard_next_to_last_sigma", "", "Discard penultimate sigma",
          &Request::discard_penultimate_sigma, 0, 0, kAutoOnOff,
          "leave out the last noise level above 0; auto is the sampler's own way"},
    Field{"styles", "", "--style", "", &Request::styles, 0, 0, "", "names of styles to put into the prompts, in order"},
    Field{"wildcards", "", "", "Wildcards", &Request::wildcards, 0, 0, kSwitch,
          "choose from __name__ (files of wildcards) and {a|b} in prompts, by each picture's seed"},
    Field{"prompt_syntax", "prompt_attention", "", "Prompt syntax", &Request::prompt_syntax, 0, 0, "webui comfyui fixed",
          "how prompts are read: webui, comfyui ((a:1.2) alone), fixed (plain text)"},
    Field{"all_prompts", "", "", "", &Request::all_prompts, 0, 0, "", "a prompt for each picture, instead of the prompt"},
    Field{"all_negative_prompts", "", "", "", &Request::all_negative_prompts, 0, 0, "",
          "a negative prompt for each picture, instead of the negative prompt"},
    Field{"lora_hashes", "", "", "Lora hashes", &Request::lora_hashes, 0, 0, "",
          "hashes of the prompt's LoRAs, \"name: hash, ...\": finds a file that is called otherwise here"},
    Field{"embedding_hashes", "ti_hashes", "", "TI hashes", &Request::embedding_hashes, 0, 0, "",
          "hashes of the prompt's embeddings, in the same form"},
    Field{"missing_networks", "", "", "", &Request::missing_networks, 0, 0, "refuse skip",
          "a LoRA that is not found: refuse to draw, or skip it as SD WebUI does"},
};
// clang-format on

size_t place_of(const Field& field) { return static_cast<size_t>(&field - kFields.data()); }

/// Fields that are kept even where they are the default, because a model may recommend another.
constexpr std::string_view kRecommendable[] = {"steps", "cfg_scale", "sampler", "schedule"};

bool is_kept(const Request& request, const Field& field) {
  return request.said.fields.test(place_of(field)) &&
         std::find(std::begin(kRecommendable), std::end(kRecommendable), field.key) !=
             std::end(kRecommendable);
}

/// Calls body for each word of a list separated by `separator`.
template <class Body>
void for_each_word(std::string_view list, char separator, Body body) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(separator), list.size());
    if (end > 0) body(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

bool has_word(std::string_view list, std::string_view word) {
  bool found = false;
  for_each_word(list, ' ', [&](std::string_view each) { found = found || each == word; });
  return found;
}

/// What was given, cut to what a message can hold.
std::string shown(std::string_view got) {
  constexpr size_t kMost = 80;
  return std::string(utf8_prefix(got, kMost)) + (got.size() > kMost ? "..." : "");
}

Error bad_value(const Field& field, std::string_view got, std::string_view wanted) {
  return {ErrorCode::kInvalidArgument, fmt::format("{} is {}; {}", field.key, got, wanted)};
}

std::string number_text(double value) {
  return std::abs(value) < 1e15 && value == std::floor(value)
             ? fmt::format("{}", static_cast<int64_t>(value))
             : fmt::format("{}", value);
}

Error unknown_key(std::string_view key) {
  std::vector<std::string_view> known;
  for (const Field& field : kFields) known.push_back(field.key);
  const std::string_view nearest = nearest_name(shown(key), known);
  return {ErrorCode::kInvalidArgument,
          fmt::format("the request has an unknown field '{}'{}", shown(key),
                      nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest))};
}

/// Applies the members of JSON objects to a request.
class JsonReader {
 public:
  JsonReader(Request& request, const JsonOptions& options) : request_(request), options_(options) {}

  Status read(const json::object& object) {
    for (const auto& [key, value] : object) {
      if (Status read = read_member(std::string_view(key), value); !read) return read;
    }
    return {};
  }

  /// Tags for the list "loras", if there was one.
  const std::string& loras() const { return loras_; }

 private:
  Status read_member(std::string_view key, const json::value& value) {
    if (const Field* field = find_field(key)) {
      std::string_view& name = names_[static_cast<size_t>(field - kFields.data())];
      if (!name.empty() && !options_.ignore_unknown) {
        return Error{
            ErrorCode::kInvalidArgument,
            fmt::format("the request has '{}' and '{}', which are one field; leave one out", name,
                        key)};
      }
      name = key;
      return set_json(request_, *field, value);
    }
    if (key == "loras" && !nested_) {
      auto tags = tags_of_loras(value);
      if (!tags) return tags.error();
      loras_ = std::move(*tags);
      return {};
    }
    if (key == "override_settings" && !nested_) {
      if (value.is_null()) return {};
      if (!value.is_object()) {
        return Error{ErrorCode::kInvalidArgument, "override_settings is a JSON object"};
      }
      nested_ = true;
      const Status read_settings = read(value.get_object());
      nested_ = false;
      return read_settings;
    }
    return options_.ignore_unknown ? Status() : unknown_key(key);
  }

  Request& request_;
  const JsonOptions& options_;
  std::array<std::string_view, kFields.size()> names_{};  // under which each field was given
  bool nested_ = false;
  std::string loras_;
};

Status check_range(const Field& field, double value) {
  if (value >= field.minimum && value <= field.maximum) return {};
  return bad_value(
      field, number_text(value),
      fmt::format("{} to {} is possible", number_text(field.minimum), number_text(field.maximum)));
}

Status check_text(const Field& field, const std::string& text) {
  if (text.size() > kMaxPromptBytes) {
    return bad_value(field, fmt::format("{} bytes long", text.size()),
                     fmt::format("at most {} are read", kMaxPromptBytes));
  }
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string::npos) {
    return bad_value(field, fmt::format("not valid UTF-8 at byte {}", invalid),
                     "UTF-8 text is needed");
  }
  if (text.find('\0') != std::string::npos)
    return bad_value(field, "a text with a zero byte", "plain text is needed");
  if (field.choices.empty() || has_word(field.choices, text)) return {};
  std::vector<std::string_view> choices;
  std::string listed;
  for_each_word(field.choices, ' ', [&](std::string_view choice) {
    choices.push_back(choice);
    listed += (listed.empty() ? "" : ", ") + std::string(choice);
  });
  return bad_value(field, "'" + shown(text) + "'", fmt::format("one of {} is needed", listed));
}

Status check_list(const Field& field, const Texts& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) {
    if (Status good = check_text(field, text); !good) return good;
    bytes += text.size();
  }
  if (bytes <= kMaxListBytes) return {};
  return bad_value(
      field, fmt::format("{} bytes long in all", bytes),
      fmt::format("at most {} are read; ask for fewer pictures at once", kMaxListBytes));
}

/// A list of one for each picture of a request, where it is given.
Status check_count(std::string_view name, const Texts& texts, const Request& request) {
  const int64_t pictures = request.batch_size * request.batch_count;
  if (texts.empty() || static_cast<int64_t>(texts.size()) == pictures) return {};
  return Error{
      ErrorCode::kInvalidArgument,
      fmt::format("{} has {} texts for {} pictures (batch_size x batch_count); one for each "
                  "is needed",
                  name, texts.size(), pictures)};
}

Status set_list(Texts& list, const Field& field, const json::value& value) {
  list.clear();
  if (value.is_string()) {
    list.emplace_back(value.get_string());
    return {};
  }
  if (value.is_array()) {
    for (const json::value& each : value.get_array()) {
      if (!each.is_string()) break;
      list.emplace_back(each.get_string());
    }
    if (list.size() == value.get_array().size()) return {};
  }
  return bad_value(field, shown(json::serialize(value)), "a list of texts is needed");
}

Status check_side(std::string_view name, int64_t side) {
  if (side == 0) return {};
  if (side % kSizeStep != 0) {
    const int64_t below = std::max(kMinSide, side / kSizeStep * kSizeStep);
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is {}; it must be a multiple of {}, such as {} or {}", name, side,
                             kSizeStep, below, below + kSizeStep)};
  }
  if (side < kMinSide) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is {}; at least {} is needed", name, side, kMinSide)};
  }
  return {};
}

}  // namespace

static_assert(kFields.size() <= SaidFields{}.fields.size());

std::span<const Field> fields() { return kFields; }

const Field* find_field(std::string_view key) {
  for (const Field& field : kFields) {
    if (field.key == key || has_word(field.aliases, key)) return &field;
  }
  return nullptr;
}

bool said(const Request& request, std::string_view key) {
  const Field& field = *find_field(key);
  if (request.said.fields.test(place_of(field))) return true;
  const Request defaults;
  return std::visit([&](auto member) { return request.*member != defaults.*member; }, field.member);
}

void set_said(Request& request, std::string_view key) {
  request.said.fields.set(place_of(*find_field(key)));
}

std::string default_text(const Field& field) {
  const Request request;
  if (const auto* text = std::get_if<std::string Request::*>(&field.member)) return request.**text;
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member))
    return fmt::format("{}", request.**whole);
  if (const auto* real = std::get_if<double Request::*>(&field.member))
    return number_text(request.**real);
  return "";
}

Status set_text(Request& request, const Field& field, std::string_view text) {
  request.said.fields.set(place_of(field));
  if (const auto* member = std::get_if<std::string Request::*>(&field.member)) {
    request.** member = std::string(text);
    return {};
  }
  if (const auto* list = std::get_if<Texts Request::*>(&field.member)) {
    (request.**list).emplace_back(text);
    return {};
  }
  const std::string_view number = trimmed(text);
  const char* end = number.data() + number.size();
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member)) {
    int64_t value = 0;
    const auto [rest, failure] = std::from_chars(number.data(), end, value);
    if (failure != std::errc() || rest != end)
      return bad_value(field, "'" + shown(text) + "'", "a whole number is needed");
    request.** whole = value;
    return {};
  }
  double value = 0;
  const auto [rest, failure] = std::from_chars(number.data(), end, value);
  if (failure != std::errc() || rest != end || std::isnan(value)) {
    return bad_value(field, "'" + shown(text) + "'", "a number is needed");
  }
  if (const auto* real = std::get_if<double Request::*>(&field.member)) {
    request.** real = value;
  } else {
    request.*std::get<std::optional<double> Request::*>(field.member) = value;
  }
  return {};
}

Status set_json(Request& request, const Field& field, const json::value& value) {
  if (value.is_null()) return {};
  request.said.fields.set(place_of(field));
  if (const auto* list = std::get_if<Texts Request::*>(&field.member))
    return set_list(request.**list, field, value);
  if (const auto* text = std::get_if<std::string Request::*>(&field.member)) {
    if (value.is_bool() && (field.choices == kSwitch || field.choices == kAutoOnOff)) {
      request.** text = value.get_bool() ? "on" : field.choices == kSwitch ? "off" : "auto";
      return {};
    }
    if (!value.is_string())
      return bad_value(field, shown(json::serialize(value)), "a text is needed");
    request.** text = std::string(value.get_string());
    return {};
  }
  if (value.is_string()) return set_text(request, field, std::string_view(value.get_string()));
  if (!value.is_number())
    return bad_value(field, shown(json::serialize(value)), "a number is needed");
  const double number = value.to_number<double>();
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member)) {
    if (number != std::floor(number) || std::abs(number) > kSeedLimit) {
      return bad_value(field, shown(json::serialize(value)),
                       "a whole number is needed, at most 2^53");
    }
    request.** whole = static_cast<int64_t>(number);
  } else if (const auto* real = std::get_if<double Request::*>(&field.member)) {
    request.** real = number;
  } else {
    request.*std::get<std::optional<double> Request::*>(field.member) = number;
  }
  return {};
}

Result<Request> from_json(const json::value& value, const JsonOptions& options) {
  if (!value.is_object()) return Error{ErrorCode::kInvalidArgument, "a request is a JSON object"};
  Request request;
  JsonReader reader{request, options};
  if (Status read = reader.read(value.get_object()); !read) return read.error();
  request.prompt += reader.loras();
  // SD WebUI's clients send -1 for none.
  request.seed_resize_from_w = std::max<int64_t>(request.seed_resize_from_w, 0);
  request.seed_resize_from_h = std::max<int64_t>(request.seed_resize_from_h, 0);
  return request;
}

json::object to_json(const Request& request, bool with_said) {
  const Request defaults;
  json::object object;
  for (const Field& field : kFields) {
    const bool kept = with_said && is_kept(request, field);
    if (const auto* text = std::get_if<std::string Request::*>(&field.member)) {
      if (kept || request.**text != defaults.**text) object[field.key] = request.**text;
    } else if (const auto* whole = std::get_if<int64_t Request::*>(&field.member)) {
      if (kept || request.**whole != defaults.**whole) object[field.key] = request.**whole;
    } else if (const auto* real = std::get_if<double Request::*>(&field.member)) {
      if (kept || request.**real != defaults.**real) object[field.key] = request.**real;
    } else if (const auto* list = std::get_if<Texts Request::*>(&field.member)) {
      if (!(request.**list).empty()) object[field.key] = json::value_from(request.**list);
    } else if (const auto& maybe =
                   request.*std::get<std::optional<double> Request::*>(field.member)) {
      object[field.key] = *maybe;
    }
  }
  return object;
}

Status validate_field(const Request& request, const Field& field) {
  if (const auto* text = std::get_if<std::string Request::*>(&field.member))
    return check_text(field, request.**text);
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member)) {
    if (Status good = check_range(field, static_cast<double>(request.**whole)); !good) return good;
    const bool side = *whole == &Request::width || *whole == &Request::height;
    return side ? check_side(field.key, request.**whole) : Status();
  }
  if (const auto* real = std::get_if<double Request::*>(&field.member))
    return check_range(field, request.**real);
  if (const auto* list = std::get_if<Texts Request::*>(&field.member))
    return check_list(field, request.**list);
  const std::optional<double>& maybe =
      request.*std::get<std::optional<double> Request::*>(field.member);
  return maybe ? check_range(field, *maybe) : Status();
}

Status validate(const Request& request) {
  for (const Field& field : kFields) {
    if (Status good = validate_field(request, field); !good) return good;
  }
  if (request.width * request.height > kMaxPixels) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} x {} are {} pixels; at most {} are drawn", request.width,
                             request.height, request.width * request.height, kMaxPixels)};
  }
  for (const auto& [name, texts] :
       {std::pair("all_prompts", &request.all_prompts),
        std::pair("all_negative_prompts", &request.all_negative_prompts)}) {
    if (Status good = check_count(name, *texts, request); !good) return good;
  }
  if (request.guidance_start > request.guidance_end) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("guidance_start is {}, behind guidance_end {}", request.guidance_start,
                             request.guidance_end)};
  }
  if (request.sigma_min > 0 && request.sigma_max > 0 && request.sigma_min >= request.sigma_max) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("sigma_min is {}, not below sigma_max {}",
                                                          request.sigma_min, request.sigma_max)};
  }
  if (request.rho > 0 && request.rho < kLeastRho) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("rho is {}; {} to 100 is possible, or 0 for the schedule's own",
                             request.rho, kLeastRho)};
  }
  if ((request.seed_resize_from_w > 0) != (request.seed_resize_from_h > 0)) {
    return Error{ErrorCode::kInvalidArgument,
                 "seed_resize_from_w and seed_resize_from_h are given together or not at all"};
  }
  for (const int64_t side : {request.seed_resize_from_w, request.seed_resize_from_h}) {
    if (side > 0 && side % kSizeStep != 0) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("a seed_resize_from size is {}; multiples of {} are possible", side,
                               kSizeStep)};
    }
  }
  return {};
}

}  // namespace safelight::request
