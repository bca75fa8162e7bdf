#pragma once

#include <bitset>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace safelight::request {

using Texts = std::vector<std::string>;

/// Which fields somebody set, by their place in the table: what was not said may be what a model
/// recommends. Requests that ask for the same are equal, whoever said so.
struct SaidFields {
  std::bitset<128> fields;
  bool operator==(const SaidFields&) const { return true; }
};

/// Everything that decides what a text-to-image generation draws. What belongs to the machine
/// (threads, precision) or to the files that are written is not in here.
struct Request {
  std::string prompt;
  std::string negative_prompt;
  std::string model;               ///< name, title or path; empty for the default model
  std::string vae = "Automatic";   ///< name or path; "None" for the checkpoint's own
  std::string unet, text_encoder;  ///< from files of their own: names or paths; empty for none
  std::string prediction = "auto", noise_schedule = "default";
  std::string vae_decoder = "full";
  std::string refiner;  ///< name, title or path of the model that goes on; empty for none
  double refiner_switch_at = 0.8;  ///< fraction of the steps
  double refiner_start = 0;  ///< the same of the timesteps, counted from the noise; 0 for none
  int64_t steps = 20;
  std::string sampler = "DPM++ 2M";
  std::string schedule = "Automatic";
  double cfg_scale = 7;
  int64_t seed = -1;              ///< of the first picture; -1 until a random one is drawn
  int64_t width = 0, height = 0;  ///< pixels; 0 for the model's own size
  int64_t batch_size = 1;         ///< pictures drawn together; seeds count up
  int64_t batch_count = 1;        ///< batches, one after the other
  int64_t clip_skip = 1;          ///< as SD WebUI counts: 1 for none
  int64_t original_width = 0, original_height = 0, crop_left = 0, crop_top = 0, target_width = 0,
          target_height = 0;  ///< what SDXL is told; sizes of 0 for the picture's own
  double aesthetic_score = 6, negative_aesthetic_score = 2.5;
  int64_t subseed = -1;  ///< variation seed
  double subseed_strength = 0;
  int64_t seed_resize_from_w = 0, seed_resize_from_h = 0;  ///< 0 for off
  std::string noise_source = "cpu";
  int64_t eta_noise_seed_delta = 0;
  std::string emphasis = "original";
  double cfg_rescale = 0;
  double guidance_start = 0,
         guidance_end = 1;       ///< fractions of the steps between which guidance acts
  std::string guidance = "cfg";  ///< the way of guidance
  int64_t zero_init_steps = 0;   ///< with guidance "zero-star": first steps that predict nothing
  double apg_eta = 0, apg_momentum = -0.5, apg_norm_threshold = 15;  ///< with guidance "apg"
  // With guidance "dynamic-threshold".
  double dynthres_mimic_scale = 7, dynthres_threshold_percentile = 100;
  std::string dynthres_mimic_mode = "constant", dynthres_cfg_mode = "constant";
  double dynthres_mimic_scale_min = 0, dynthres_cfg_scale_min = 0, dynthres_sched_val = 4;
  std::string dynthres_separate_feature_channels = "on";
  std::string dynthres_scaling_startpoint = "mean", dynthres_variability_measure = "ad";
  double dynthres_interpolate_phi = 1;
  double pag_scale = 0, pag_adaptive = 0;  ///< perturbed-attention guidance; 0 for off
  std::string pag_layers = "mid";
  double sag_scale = 0, sag_blur_sigma = 1, sag_mask_threshold = 1;  ///< self-attention guidance
  double skip_early_cond = 0, s_min_uncond = 0;  ///< when the negative prompt is left out
  std::string s_min_uncond_all = "off";
  double token_merging_ratio = 0;   ///< of the tokens, merged for self-attention; 0 for off
  int64_t deep_cache_interval = 1;  ///< of so many steps one runs the whole network; 1 for off
  int64_t deep_cache_depth = 1;     ///< blocks at each end that run in every step
  std::optional<double> eta;        ///< the sampler's own when not given
  double s_churn = 0;
  double s_tmin = 0;
  double s_tmax = std::numeric_limits<double>::infinity();
  double s_noise = 1;
  double sigma_min = 0, sigma_max = 0;       ///< ends of the noise schedule; 0 for the model's own
  double rho = 0;                            ///< of Karras and Polyexponential; 0 for their own
  double beta_alpha = 0.6, beta_beta = 0.6;  ///< of the Beta schedule
  std::string discard_penultimate_sigma = "auto";
  Texts styles;                  ///< names; empty once they are put into the prompts
  std::string wildcards = "on";  ///< __name__ and {a|b} in prompts are chosen from
  std::string prompt_syntax = "webui";
  /// Of each picture, where they differ: what wildcards chose. Else empty.
  Texts all_prompts, all_negative_prompts;
  std::string lora_hashes;       ///< "name: hash, ..." of the LoRAs that the prompt names
  std::string embedding_hashes;  ///< the same of learned words
  std::string missing_networks = "refuse";  ///< or "skip": what is done about LoRAs not found

  SaidFields said;

  bool operator==(const Request&) const = default;
};

using Member = std::variant<std::string Request::*, int64_t Request::*, double Request::*,
                            std::optional<double> Request::*, Texts Request::*>;

/// One field of a Request: JSON, command line, checks, infotext and documentation are all made from
/// this.
struct Field {
  std::string_view key;  ///< in JSON; with '-' for '_' the flag
  std::string_view
      aliases;  ///< further JSON keys, separated by spaces: those of SD WebUI and SD.Next
  std::string_view short_flags;  ///< further flags, separated by commas
  std::string_view infotext;     ///< key in SD WebUI's generation text; empty for none
  Member member;
  double minimum, maximum;   ///< numbers only
  std::string_view choices;  ///< texts only: allowed values separated by spaces; empty for any
  std::string_view help;
};

/// The one table, in the order of help and documentation.
std::span<const Field> fields();

/// The choices of a field that is a switch: JSON's true and false are taken for them as well.
constexpr std::string_view kSwitch = "on off";

/// The field of that JSON key or alias, or null.
const Field* find_field(std::string_view key);

/// Whether somebody set the field of that key; it is a bug to ask for another.
bool said(const Request& request, std::string_view key);
void set_said(Request& request, std::string_view key);

/// How the default of a field reads in help.
std::string default_text(const Field& field);

/// Sets a field from text, as flags and infotext give it; of a list it is one element more. Errors:
/// kInvalidArgument for what is no number.
Status set_text(Request& request, const Field& field, std::string_view text);

/// Sets a field from a JSON value; null leaves it at its default. Errors: kInvalidArgument for
/// another type.
Status set_json(Request& request, const Field& field, const boost::json::value& value);

struct JsonOptions {
  /// As SD WebUI's clients need. Otherwise an unknown key is an error naming the nearest, and so
  /// is one field under two names.
  bool ignore_unknown = false;
};

/// Keys are those of the table, their aliases, and those inside SD WebUI's "override_settings".
/// Null leaves a field at its default. Errors: kInvalidArgument for wrong types and unknown keys.
Result<Request> from_json(const boost::json::value& json, const JsonOptions& options = {});

/// Every field that differs from its default; `with_said` also what a model may recommend otherwise
/// and somebody set.
boost::json::object to_json(const Request& request, bool with_said = false);

/// Checks one field's range, choices and text. Errors: as those of validate().
Status validate_field(const Request& request, const Field& field);

/// Checks ranges, sizes, choices and text. What depends on the model or the samplers is checked
/// where they are known. Errors: kInvalidArgument saying what was given, what is possible, and the
/// remedy.
Status validate(const Request& request);

constexpr int64_t kMaxSeed = int64_t{1} << 53;  ///< exact in JSON numbers everywhere
constexpr int64_t kSizeStep = 8, kMinSide = 64, kMaxSide = 8192;
constexpr int64_t kMaxPixels = int64_t{4096} * 4096;
constexpr size_t kMaxPromptBytes = size_t{1} << 20;
constexpr size_t kMaxListBytes = size_t{8} << 20;  ///< of all texts of a list

}  // namespace safelight::request
