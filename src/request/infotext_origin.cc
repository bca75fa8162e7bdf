#include "request/infotext_origin.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace safelight::request {
namespace {

struct Rename {
  std::string_view from, to;
};

constexpr Rename kKeys[] = {
    // SD WebUI
    {"Eta DDIM", "Eta"},
    {"Beta scheduler alpha", "Beta schedule alpha"},
    {"Beta scheduler beta", "Beta schedule beta"},
    // SD.Next (modules/processing_info.py), and its earlier versions
    {"CLiP-skip", "Clip skip"},
    {"CFG end", "Guidance end"},
    {"Variation strength", "Variation seed strength"},
    {"Sampler eta delta", "ENSD"},
    {"TE", "Text encoder"},
    {"ToMe", "Token merging ratio"},
    {"LoRA hashes", "Lora hashes"},
    {"CFG true", "PAG scale"},
    {"CFG adaptive", "PAG adaptive"},
    // SD WebUI Forge's guidance
    {"pagi_scale", "PAG scale"},
    {"sag_scale", "SAG Guidance Scale"},
    {"sag_blur_sigma", "SAG Blur Sigma"},
    {"sag_threshold", "SAG Mask Threshold"},
    // Dynamic Thresholding before it had repeating modes
    {"Power scheduler value", "Scheduler value"},
};

/// Schedulers of diffusers, as SD.Next names them where the sampler was its "Default".
constexpr Rename kSchedulerClasses[] = {
    {"EulerDiscreteScheduler", "Euler"},
    {"EulerAncestralDiscreteScheduler", "Euler a"},
    {"DPMSolverMultistepScheduler", "DPM++ 2M"},
    {"DPMSolverSDEScheduler", "DPM++ SDE"},
    {"DDIMScheduler", "DDIM"},
    {"DDPMScheduler", "DDPM"},
    {"PNDMScheduler", "PLMS"},
    {"UniPCMultistepScheduler", "UniPC"},
    {"DEISMultistepScheduler", "DEIS"},
    {"LMSDiscreteScheduler", "LMS"},
    {"HeunDiscreteScheduler", "Heun"},
    {"KDPM2DiscreteScheduler", "DPM2"},
    {"KDPM2AncestralDiscreteScheduler", "DPM2 a"},
    {"IPNDMScheduler", "IPNDM"},
    {"LCMScheduler", "LCM"},
    {"TCDScheduler", "TCD"},
};

/// SD.Next's "Sampler sigma".
constexpr Rename kSigmas[] = {{"default", "Automatic"},
                              {"karras", "Karras"},
                              {"exponential", "Exponential"},
                              {"betas", "Beta"}};

/// Ends of sampler names before SD WebUI 1.9 made the schedule a parameter of its own.
constexpr std::string_view kOldSchedules[] = {"Karras", "Exponential"};

/// Samplers that had another schedule before 1.9 than they have since when none is named.
constexpr std::string_view kOnceUniform[] = {
    "DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
    "DPM++ 2S a", "DPM++ 3M SDE", "DPM2",         "DPM2 a"};

template <size_t kCount>
const Rename* find_rename(const Rename (&table)[kCount], std::string_view from) {
  const auto* found = std::find_if(std::begin(table), std::end(table),
                                   [&](const Rename& rename) { return rename.from == from; });
  return found == std::end(table) ? nullptr : found;
}

class Translator {
 public:
  explicit Translator(InfotextParts& parts) : parts_(parts), pairs_(parts.pairs) {}

  void run() {
    const bool of_next = is("App", "SD.Next");
    const bool ours = starts("Version", "Safelight");
    for (auto& [key, value] : pairs_) {
      if (const Rename* rename = find_rename(kKeys, key)) key = rename->to;
    }
    if (of_next) {
      read_sdnext();
    } else {
      rename("Scheduler", "Schedule type");
    }
    if (!ours && !of_next && has("Steps") && !has("Schedule type")) read_old_sampler();
    if (has("Steps") && !has("RNG")) pairs_.emplace_back("RNG", "GPU");
    add_networks();
    read_hashes();
    // What looks like a choice was none, or has been made.
    if (has("Steps") && !ours && !has("Wildcards") &&
        (may_choose(parts_.prompt) || may_choose(parts_.negative_prompt)))
      pairs_.emplace_back("Wildcards", "False");
    // A text may name the model by its hash alone.
    if (const std::string* hash = find("Model hash"); hash != nullptr && !ours && !has("Model"))
      pairs_.emplace_back("Model", *hash);
  }

 private:
  const std::string* find(std::string_view key) const { return find_value(pairs_, key); }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  bool is(std::string_view key, std::string_view value) const {
    const std::string* found = find(key);
    return found != nullptr && *found == value;
  }
  bool starts(std::string_view key, std::string_view value) const {
    const std::string* found = find(key);
    return found != nullptr && found->starts_with(value);
  }
  void rename(std::string_view from, std::string_view to) {
    for (auto& [key, value] : pairs_) {
      if (key == from) key = to;
    }
  }
  void set_value(std::string_view key, std::string_view value) {
    for (auto& pair : pairs_) {
      if (pair.first == key) pair.second = value;
    }
  }

  static bool may_choose(std::string_view prompt) {
    return prompt.find('{') != std::string_view::npos ||
           prompt.find("__") != std::string_view::npos;
  }

  void read_sdnext() {
    if (const std::string* name = find("Scheduler")) {
      const Rename* of_class = find_rename(kSchedulerClasses, *name);
      // It once was the name of a schedule, and is that of a class.
      if (!name->ends_with("Scheduler")) rename("Scheduler", "Schedule type");
      if (of_class != nullptr && !has("Sampler")) pairs_.emplace_back("Sampler", of_class->to);
    }
    const std::string* sigma = find("Sampler sigma");
    const Rename* schedule = sigma == nullptr ? nullptr : find_rename(kSigmas, *sigma);
    if (schedule != nullptr && !has("Schedule type")) {
      rename("Sampler sigma", "Schedule type");
      set_value("Schedule type", schedule->to);
    }
    // Its other parsers read another language.
    for (const std::string_view parser : {"fixed", "a1111", "native"}) {
      if (is("Parser", parser)) rename("Parser", "Prompt syntax");
    }
    if (is("VAE", "TAESD")) {
      rename("VAE", "VAE Decoder");
      set_value("VAE Decoder", "taesd");
    }
    const std::string* networks = find("LoRA networks");
    const std::string* hashes = find("Lora hashes");
    if (networks != nullptr && hashes != nullptr) name_hashes(*networks, *hashes);
  }

  static std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> items;
    while (true) {
      const size_t end = std::min(list.find(','), list.size());
      items.push_back(trimmed(list.substr(0, end)));
      if (end == list.size()) return items;
      list.remove_prefix(end + 1);
    }
  }

  /// SD.Next lists names and hashes apart.
  void name_hashes(const std::string& names, const std::string& hashes) {
    const auto name = split(names), hash = split(hashes);
    if (name.size() != hash.size()) return;
    std::string both;
    for (size_t i = 0; i < name.size(); ++i)
      both += fmt::format("{}{}: {}", both.empty() ? "" : ", ", name[i], hash[i]);
    set_value("Lora hashes", both);
  }

  /// "DPM++ 2M Karras" of old texts is the sampler "DPM++ 2M" with the schedule "Karras", and
  /// "DPM++ 2M" the one without.
  void read_old_sampler() {
    const std::string* sampler = find("Sampler");
    if (sampler == nullptr) return;
    for (const std::string_view schedule : kOldSchedules) {
      const std::string end = fmt::format(" {}", schedule);
      if (!sampler->ends_with(end)) continue;
      set_value("Sampler", std::string(sampler->substr(0, sampler->size() - end.size())));
      pairs_.emplace_back("Schedule type", schedule);
      return;
    }
    if (std::find(std::begin(kOnceUniform), std::end(kOnceUniform), *sampler) !=
        std::end(kOnceUniform))
      pairs_.emplace_back("Schedule type", "Uniform");
  }

  /// Networks that were chosen beside the prompt, before there were tags: hypernetworks, and LoRAs
  /// of the extension sd-webui-additional-networks.
  void add_networks() {
    constexpr std::string_view kModel = "AddNet Model ";
    std::string tags;
    for (const auto& [key, value] : pairs_) {
      if (key == "Hypernet") {
        const std::string* strength = find("Hypernet strength");
        tags += fmt::format("<hypernet:{}:{}>", value, strength == nullptr ? "1" : *strength);
      }
      if (!key.starts_with(kModel)) continue;
      const std::string number = key.substr(kModel.size());
      if (!is("AddNet Module " + number, "LoRA")) continue;
      const std::string* unet = find("AddNet Weight A " + number);
      const std::string* text = find("AddNet Weight B " + number);
      // "name(0123456789ab)"
      const std::string_view name = trimmed(std::string_view(value).substr(0, value.rfind('(')));
      const std::string weight = unet == nullptr ? "1" : *unet;
      tags += fmt::format("<lora:{}:{}:{}>", name, text == nullptr ? weight : *text, weight);
    }
    if (!tags.empty()) parts_.prompt += (parts_.prompt.empty() ? "" : "\n") + tags;
  }

  /// Civitai's "Hashes": {"model": ..., "lora:name": ..., "embed:name": ...}.
  void read_hashes() {
    const std::string* text = find("Hashes");
    const auto parsed = text == nullptr ? Result<boost::json::value>(nullptr) : parse_json(*text);
    if (!parsed || !parsed->is_object()) return;
    std::string loras, embeddings, model;
    for (const auto& [key, value] : parsed->get_object()) {
      if (!value.is_string()) continue;
      const std::string_view name(key), hash(value.get_string());
      const size_t colon = std::min(name.find(':'), name.size());
      const std::string kind = ascii_lower(name.substr(0, colon));
      if (kind == "model") model = hash;
      if (colon == name.size() || (kind != "lora" && kind != "embed")) continue;
      std::string& list = kind == "lora" ? loras : embeddings;
      list += fmt::format("{}{}: {}", list.empty() ? "" : ", ", name.substr(colon + 1), hash);
    }
    const auto add = [&](std::string_view key, const std::string& value) {
      if (!value.empty() && !has(key)) pairs_.emplace_back(key, value);
    };
    add("Lora hashes", loras);
    add("TI hashes", embeddings);
    add("Model hash", model);
  }

  InfotextParts& parts_;
  InfotextPairs& pairs_;
};

}  // namespace

void to_webui(InfotextParts& parts) { Translator(parts).run(); }

}  // namespace safelight::request
