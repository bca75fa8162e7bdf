#include "request/infotext.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <iterator>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "request/infotext_origin.h"
#include "request/infotext_pairs.h"

namespace safelight::request {
namespace {

constexpr std::string_view kExactKey = "Safelight request";
/// Stands, in the texts of SD WebUI's extension of this name, for the way of guidance.
constexpr std::string_view kThresholding = "Dynamic thresholding enabled";
constexpr std::string_view kThresholdingGuidance = "dynamic-threshold";

/// Keys in SD WebUI's order (processing.py, create_infotext; then its extra parameters and ours);
/// those of other fields follow in the table's order.
constexpr std::string_view kOrder[] = {"Steps",
                                       "Sampler",
                                       "Schedule type",
                                       "CFG scale",
                                       "Seed",
                                       "Size",
                                       "Model hash",
                                       "Model",
                                       "VAE",
                                       "Variation seed",
                                       "Variation seed strength",
                                       "Seed resize from",
                                       "Clip skip",
                                       "ENSD",
                                       "RNG",
                                       "NGMS",
                                       "Emphasis",
                                       "Prompt syntax",
                                       "Wildcards",
                                       "Token merging ratio",
                                       "Deep cache interval",
                                       "Deep cache depth",
                                       "Refiner",
                                       "Refiner switch at",
                                       "Eta",
                                       "Sigma churn",
                                       "Sigma tmin",
                                       "Sigma tmax",
                                       "Sigma noise",
                                       "Schedule min sigma",
                                       "Schedule max sigma",
                                       "Schedule rho",
                                       "Beta schedule alpha",
                                       "Beta schedule beta",
                                       "Discard penultimate sigma",
                                       "CFG rescale",
                                       "Guidance start",
                                       "Guidance end",
                                       kThresholding,
                                       "Lora hashes",
                                       "TI hashes"};

/// Keys that are written even where the value is the default. SD WebUI leaves RNG out for its own
/// default, the GPU's generator, which is not ours.
constexpr std::string_view kAlways[] = {"Steps",     "Sampler", "Schedule type",
                                        "CFG scale", "Seed",    "RNG"};

/// SD WebUI's spellings of values that we name otherwise; the first of a value is written. Its GPU
/// generator draws the numbers of `nv`.
struct Spelling {
  std::string_view field, ours, webui;
};
constexpr Spelling kSpellings[] = {
    {"discard_penultimate_sigma", "on", "True"},
    {"discard_penultimate_sigma", "off", "False"},
    {"discard_penultimate_sigma", "auto", "Automatic"},
    {"noise_source", "cpu", "CPU"},
    {"noise_source", "nv", "NV"},
    {"noise_source", "nv", "GPU"},
    {"emphasis", "original", "Original"},
    {"emphasis", "no-norm", "No norm"},
    {"emphasis", "ignore", "Ignore"},
    {"emphasis", "comfyui", "ComfyUI"},
    {"wildcards", "on", "True"},
    {"wildcards", "off", "False"},
    {"prompt_syntax", "webui", "webui"},
    {"prompt_syntax", "webui", "a1111"},
    {"prompt_syntax", "webui", "native"},
    {"prompt_syntax", "comfyui", "comfyui"},
    {"prompt_syntax", "fixed", "fixed"},
    {"guidance", "cfg", "CFG"},
    {"guidance", "cfg", "Default"},
    {"guidance", "cfg", "CFG: ClassifierFreeGuidance"},
    {"guidance", "zero-star", "Zero"},
    {"guidance", "zero-star", "Zero: ClassifierFreeZeroStar"},
    {"guidance", "apg", "APG"},
    {"guidance", "apg", "APG: AdaptiveProjectedGuidance"},
    {"guidance", kThresholdingGuidance, "Dynamic thresholding"},
    {"dynthres_separate_feature_channels", "on", "True"},
    {"dynthres_separate_feature_channels", "on", "enable"},
    {"dynthres_separate_feature_channels", "off", "False"},
    {"dynthres_separate_feature_channels", "off", "disable"},
    {"dynthres_scaling_startpoint", "mean", "MEAN"},
    {"dynthres_scaling_startpoint", "zero", "ZERO"},
    {"dynthres_variability_measure", "ad", "AD"},
    {"dynthres_variability_measure", "std", "STD"},
    {"s_min_uncond_all", "on", "True"},
    {"s_min_uncond_all", "off", "False"},
    {"prediction", "auto", "auto"},
    {"prediction", "auto", "default"},
    {"prediction", "epsilon", "epsilon"},
    {"prediction", "v", "v_prediction"},
    {"prediction", "v", "v"},
    {"prediction", "sample", "sample"},
    {"prediction", "edm", "edm"},
    {"noise_schedule", "default", "Default"},
    {"noise_schedule", "zero-terminal-snr", "Zero Terminal SNR"},
    {"vae_decoder", "full", "Full"},
    {"vae_decoder", "taesd", "TAESD"},
    {"vae_decoder", "taesd", "Tiny"},
};

/// The fields whose values are names of curves, which the extension writes as "Half Cosine Down".
bool names_curve(const Field& field) {
  return field.key == "dynthres_mimic_mode" || field.key == "dynthres_cfg_mode";
}

/// "half-cosine-down" as "Half Cosine Down".
std::string title_of(std::string value) {
  bool begins = true;
  for (char& c : value) {
    if (c == '-') c = ' ';
    if (begins && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    begins = c == ' ';
  }
  return value;
}

const Field* field_of_infotext(std::string_view key) {
  for (const Field& field : fields()) {
    if (!field.infotext.empty() && field.infotext == key) return &field;
  }
  return nullptr;
}

std::string to_spelling(const Field& field, const std::string& value) {
  if (names_curve(field)) return title_of(value);
  for (const Spelling& spelling : kSpellings) {
    if (spelling.field == field.key && spelling.ours == value) return std::string(spelling.webui);
  }
  return value;
}

std::string text_of(const Request& request, const Field& field) {
  if (const auto* text = std::get_if<std::string Request::*>(&field.member)) {
    return to_spelling(field, request.**text);
  }
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member))
    return fmt::format("{}", request.**whole);
  if (const auto* real = std::get_if<double Request::*>(&field.member))
    return fmt::format("{}", request.**real);
  if (std::holds_alternative<Texts Request::*>(field.member)) return "";
  const auto& maybe = request.*std::get<std::optional<double> Request::*>(field.member);
  return maybe ? fmt::format("{}", *maybe) : "";
}

bool always_written(std::string_view key) {
  return std::find(std::begin(kAlways), std::end(kAlways), key) != std::end(kAlways);
}

/// Samplers whose eta SD WebUI keeps apart, since its default is another.
std::string_view key_to_write(const Request& request, std::string_view key) {
  if (key != "Eta") return key;
  const std::string sampler = ascii_lower(request.sampler);
  for (const std::string_view deterministic : {"ddim", "plms", "unipc"}) {
    if (sampler == deterministic) return "Eta DDIM";
  }
  return key;
}

std::string value_of(const Request& request, std::string_view key, const std::string& model_hash) {
  if (key == "Size")
    return request.width ? fmt::format("{}x{}", request.width, request.height) : "";
  if (key == "Model hash") return model_hash;
  if (key == "Seed resize from") {
    return request.seed_resize_from_w > 0
               ? fmt::format("{}x{}", request.seed_resize_from_w, request.seed_resize_from_h)
               : "";
  }
  const bool thresholds = request.guidance == kThresholdingGuidance;
  if (key == kThresholding) return thresholds ? "True" : "";
  if (key == "Guidance" && thresholds) return "";
  const Field* field = field_of_infotext(key);
  if (field == nullptr) return "";
  const std::string value = text_of(request, *field);
  if (thresholds && (key == "Mimic scale" || key == "Threshold percentile")) return value;
  if (key == "Refiner switch at") return request.refiner.empty() ? "" : value;  // as SD WebUI
  return always_written(key) || value != text_of(Request{}, *field) ? value : "";
}

std::string write(const Request& request, const std::string& model_hash, const std::string& version,
                  const ExtraParameters& extra) {
  std::string parameters;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty())
      parameters +=
          fmt::format("{}{}: {}", parameters.empty() ? "" : ", ", key, quoted_value(value));
  };
  for (const std::string_view key : kOrder)
    add(key_to_write(request, key), value_of(request, key, model_hash));
  for (const Field& field : fields()) {
    const std::string_view key = field.infotext;
    if (std::find(std::begin(kOrder), std::end(kOrder), key) == std::end(kOrder))
      add(key, value_of(request, key, model_hash));
  }
  for (const auto& [key, value] : extra) add(key, value);
  add("Version", version);
  std::string text = request.prompt;
  const auto add_line = [&](const std::string& line) { text += (text.empty() ? "" : "\n") + line; };
  if (!request.negative_prompt.empty()) {
    add_line("Negative prompt: " + request.negative_prompt);
  }
  add_line(parameters);
  return text;
}

/// "512x768" into two numbers.
bool parse_size(std::string_view text, int64_t& width, int64_t& height) {
  const size_t x = text.find('x');
  if (x == std::string_view::npos) return false;
  int64_t w = 0, h = 0;
  const auto first = std::from_chars(text.data(), text.data() + x, w);
  const auto second = std::from_chars(text.data() + x + 1, text.data() + text.size(), h);
  if (first.ec != std::errc() || first.ptr != text.data() + x) return false;
  if (second.ec != std::errc() || second.ptr != text.data() + text.size() || w <= 0 || h <= 0)
    return false;
  width = w;
  height = h;
  return true;
}

void apply_parameter(ParsedInfotext& parsed, const std::string& key, const std::string& value) {
  Request& request = parsed.request;
  if (key == "Size" && parse_size(value, request.width, request.height)) return;
  if (key == "Seed resize from" &&
      parse_size(value, request.seed_resize_from_w, request.seed_resize_from_h))
    return;
  if (key == kThresholding && value == "True") {
    request.guidance = kThresholdingGuidance;
    return;
  }
  if (const Field* field = field_of_infotext(key)) {
    const std::optional<std::string> ours = choice_from_webui(*field, value);
    // SD.Next writes whole numbers of some fields with a fraction.
    const bool whole = std::holds_alternative<int64_t Request::*>(field->member);
    std::string_view text = ours ? *ours : std::string_view();
    if (whole && text.ends_with(".0")) text.remove_suffix(2);
    if (ours && set_text(request, *field, text)) return;
  }
  parsed.rest.emplace_back(key, value);
}

ParsedInfotext read(std::string_view text) {
  InfotextParts parts = split_infotext(text);
  to_webui(parts);
  ParsedInfotext parsed;
  parsed.request.prompt = std::move(parts.prompt);
  parsed.request.negative_prompt = std::move(parts.negative_prompt);
  for (const auto& [key, value] : parts.pairs) apply_parameter(parsed, key, value);
  return parsed;
}

}  // namespace

std::optional<std::string> choice_from_webui(const Field& field, const std::string& value) {
  if (field.choices.empty()) return value;
  const std::string lower = ascii_lower(value);
  if (names_curve(field)) {
    std::string name = lower;
    std::replace(name.begin(), name.end(), ' ', '-');
    return name;
  }
  for (const Spelling& spelling : kSpellings) {
    if (spelling.field == field.key && ascii_lower(spelling.webui) == lower) {
      return std::string(spelling.ours);
    }
  }
  return std::nullopt;
}

std::string to_infotext(const Request& request, const std::string& model_hash,
                        const std::string& version, const ExtraParameters& extra) {
  const std::string text = write(request, model_hash, version, extra);
  if (read(text).request == request) return text;
  const std::string exact = boost::json::serialize(to_json(request));
  return text +
         fmt::format(", {}: {}", kExactKey, boost::json::serialize(boost::json::value(exact)));
}

ParsedInfotext parse_infotext(std::string_view text) {
  ParsedInfotext parsed = read(text);
  for (auto entry = parsed.rest.begin(); entry != parsed.rest.end(); ++entry) {
    if (entry->first != kExactKey) continue;
    if (const Result<boost::json::value> exact = parse_json(entry->second)) {
      if (Result<Request> request = from_json(*exact)) {
        request->said.fields |= parsed.request.said.fields;
        parsed.request = std::move(*request);
        parsed.rest.erase(entry);
      }
    }
    break;
  }
  return parsed;
}

}  // namespace safelight::request
