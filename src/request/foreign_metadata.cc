#include "request/foreign_metadata.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>

#include "base/json.h"
#include "request/comfy_graph.h"
#include "request/infotext.h"

namespace safelight::request {
namespace {

namespace json = boost::json;

/// Python writes numbers that are none as NaN, which is no JSON.
std::string without_nan(std::string_view text) {
  constexpr std::string_view kNan = "NaN";
  std::string clean;
  bool in_string = false;
  for (size_t at = 0; at < text.size(); ++at) {
    if (in_string && text[at] == '\\' && at + 1 < text.size()) {
      clean += text.substr(at++, 2);
      continue;
    }
    if (text[at] == '"') in_string = !in_string;
    if (!in_string && text.substr(at).starts_with(kNan)) {
      clean += "null";
      at += kNan.size() - 1;
    } else {
      clean += text[at];
    }
  }
  return clean;
}

/// The JSON object under a key.
std::optional<json::object> object_in(const PictureTexts& texts, std::string_view key) {
  const auto found = texts.find(key);
  if (found == texts.end()) return std::nullopt;
  constexpr size_t kDepth = 100;
  auto parsed = parse_json(without_nan(found->second), kDepth);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  return std::move(parsed->get_object());
}

/// Sets a field from the first of some members that it can be set from.
void set(Request& request, std::string_view field, const json::object& object,
         std::initializer_list<std::string_view> members) {
  for (const std::string_view member : members) {
    const json::value* value = object.if_contains(member);
    if (value != nullptr && !value->is_null() && set_json(request, *find_field(field), *value))
      return;
  }
}

std::string text_in(const json::value* value, std::initializer_list<std::string_view> members) {
  const json::object* object = value == nullptr ? nullptr : value->if_object();
  if (object == nullptr) return "";
  for (const std::string_view member : members) {
    const json::value* text = object->if_contains(member);
    if (text != nullptr && text->is_string()) return std::string(text->get_string());
  }
  return "";
}

/// InvokeAI's scheduler names are diffusers' own or ComfyUI's, with "_k" for Karras.
void set_invoke_sampler(Request& request, std::string_view name) {
  if (name.ends_with("_k")) {
    name.remove_suffix(2);
    request.schedule = "Karras";
  }
  if (name == "euler_a") name = "euler_ancestral";
  if (name == "kdpm_2") name = "dpm_2";
  if (name == "kdpm_2_a") name = "dpm_2_ancestral";
  if (name == "pndm") name = "plms";
  if (name == "unipc") name = "uni_pc";
  request.sampler = comfy_sampler(name);
}

Request request_of_invoke(const json::object& object) {
  Request request;
  set(request, "prompt", object, {"positive_prompt"});
  set(request, "negative_prompt", object, {"negative_prompt"});
  set(request, "seed", object, {"seed"});
  set(request, "steps", object, {"steps"});
  set(request, "cfg_scale", object, {"cfg_scale"});
  set(request, "cfg_rescale", object, {"cfg_rescale_multiplier"});
  set(request, "width", object, {"width"});
  set(request, "height", object, {"height"});
  const json::value* skipped = object.if_contains("clip_skip");  // layers, 0 for none
  if (skipped != nullptr && skipped->is_int64() && skipped->get_int64() >= 0 &&
      skipped->get_int64() < 24)
    request.clip_skip = skipped->get_int64() + 1;
  request.model = text_in(object.if_contains("model"), {"name", "model_name"});
  const json::value* scheduler = object.if_contains("scheduler");
  if (scheduler != nullptr && scheduler->is_string())
    set_invoke_sampler(request, std::string_view(scheduler->get_string()));
  const json::value* loras = object.if_contains("loras");
  if (loras == nullptr || !loras->is_array()) return request;
  for (const json::value& each : loras->get_array()) {
    const json::object* lora = each.if_object();
    if (lora == nullptr) continue;
    std::string name = text_in(lora->if_contains("model"), {"name", "model_name"});
    if (name.empty()) name = text_in(lora->if_contains("lora"), {"name", "model_name"});
    const json::value* weight = lora->if_contains("weight");
    if (name.empty() || name.find_first_of(":>=") != std::string::npos) continue;
    request.prompt +=
        fmt::format("<lora:{}:{}>", name,
                    weight != nullptr && weight->is_number() ? weight->to_number<double>() : 1);
  }
  return request;
}

/// As SD WebUI reads them (modules/images.py, read_info_from_image).
Request request_of_novelai(const json::object& object, const PictureTexts& texts) {
  Request request;
  const auto description = texts.find("Description");
  if (description != texts.end()) request.prompt = description->second;
  set(request, "prompt", object, {"prompt"});
  set(request, "negative_prompt", object, {"uc"});
  set(request, "steps", object, {"steps"});
  set(request, "cfg_scale", object, {"scale"});
  set(request, "seed", object, {"seed"});
  set(request, "width", object, {"width"});
  set(request, "height", object, {"height"});
  request.sampler = "Euler a";
  const json::value* sampler = object.if_contains("sampler");
  if (sampler != nullptr && sampler->is_string() && sampler->get_string().starts_with("k_"))
    request.sampler = comfy_sampler(std::string_view(sampler->get_string()).substr(2));
  request.clip_skip = 2;
  request.eta_noise_seed_delta = 31337;
  request.noise_source = "nv";
  return request;
}

}  // namespace

std::optional<std::string> foreign_infotext(const PictureTexts& texts) {
  if (const auto graph = object_in(texts, "prompt")) {
    if (const auto request = request_of_comfy(*graph)) return to_infotext(*request, "", "ComfyUI");
  }
  if (const auto object = object_in(texts, "invokeai_metadata")) {
    const json::value* version = object->if_contains("app_version");
    return to_infotext(request_of_invoke(*object), "",
                       version != nullptr && version->is_string()
                           ? "InvokeAI " + std::string(version->get_string())
                           : "InvokeAI");
  }
  const auto software = texts.find("Software");
  if (software == texts.end() || software->second != "NovelAI") return std::nullopt;
  const auto object = object_in(texts, "Comment");
  if (!object) return std::nullopt;
  return to_infotext(request_of_novelai(*object, texts), "", "NovelAI");
}

}  // namespace safelight::request
