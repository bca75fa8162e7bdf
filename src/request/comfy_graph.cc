#include "request/comfy_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "base/text.h"

namespace safelight::request {
namespace {

namespace json = boost::json;

constexpr int kMaxDepth = 100;     // of links that are followed, so that cycles end
constexpr int kMaxVisits = 20000;  // of values: nodes may link to each other many times
constexpr size_t kMaxLoras = 64;

struct Name {
  std::string_view comfy, webui;
};

constexpr Name kSamplers[] = {{"euler", "Euler"},
                              {"euler_ancestral", "Euler a"},
                              {"heun", "Heun"},
                              {"dpm_2", "DPM2"},
                              {"dpm_2_ancestral", "DPM2 a"},
                              {"lms", "LMS"},
                              {"dpm_fast", "DPM fast"},
                              {"dpm_adaptive", "DPM adaptive"},
                              {"dpmpp_2s_ancestral", "DPM++ 2S a"},
                              {"dpmpp_sde", "DPM++ SDE"},
                              {"dpmpp_2m", "DPM++ 2M"},
                              {"dpmpp_2m_sde", "DPM++ 2M SDE"},
                              {"dpmpp_2m_sde_heun", "DPM++ 2M SDE Heun"},
                              {"dpmpp_3m_sde", "DPM++ 3M SDE"},
                              {"ddpm", "DDPM"},
                              {"lcm", "LCM"},
                              {"ipndm", "IPNDM"},
                              {"deis", "DEIS"},
                              {"ddim", "DDIM"},
                              {"uni_pc", "UniPC"}};

constexpr Name kSchedules[] = {{"normal", "Normal"},
                               {"karras", "Karras"},
                               {"exponential", "Exponential"},
                               {"sgm_uniform", "SGM Uniform"},
                               {"simple", "Simple"},
                               {"ddim_uniform", "DDIM"},
                               {"beta", "Beta"},
                               {"kl_optimal", "KL Optimal"}};

template <size_t kCount>
std::string webui_name(const Name (&table)[kCount], std::string_view comfy) {
  for (const Name& name : table) {
    if (name.comfy == comfy) return std::string(name.webui);
  }
  return std::string(comfy);
}

constexpr std::string_view kSamplerNodes[] = {"KSampler", "KSamplerAdvanced", "SamplerCustom",
                                              "SamplerCustomAdvanced"};

/// A file's name without folders and ending.
std::string stem(std::string_view path) {
  const size_t slash = path.find_last_of("/\\");
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  for (const std::string_view ending : {".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf"}) {
    if (path.ends_with(ending)) return std::string(path.substr(0, path.size() - ending.size()));
  }
  return std::string(path);
}

/// A graph by the ids of its nodes.
class Graph {
 public:
  explicit Graph(const json::object& nodes) : nodes_(nodes) {}

  const json::object* node(std::string_view id) const {
    const json::value* found = nodes_.if_contains(id);
    return found == nullptr ? nullptr : found->if_object();
  }

  static std::string_view type(const json::object* node) {
    const json::value* type = node == nullptr ? nullptr : node->if_contains("class_type");
    return type != nullptr && type->is_string() ? std::string_view(type->get_string()) : "";
  }

  static const json::value* input(const json::object* node, std::string_view name) {
    const json::value* inputs = node == nullptr ? nullptr : node->if_contains("inputs");
    const json::object* object = inputs == nullptr ? nullptr : inputs->if_object();
    return object == nullptr ? nullptr : object->if_contains(name);
  }

  /// The node that a value [id, output] links to.
  const json::object* linked(const json::value* value) const {
    const json::array* link = value == nullptr ? nullptr : value->if_array();
    if (link == nullptr || link->empty() || !(*link)[0].is_string()) return nullptr;
    return node(std::string_view((*link)[0].get_string()));
  }

  /// The first of some inputs of a node that is a link.
  const json::object* linked(const json::object* node,
                             std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      if (const json::object* next = linked(input(node, name))) return next;
    }
    return nullptr;
  }

  const json::object& nodes() const { return nodes_; }

 private:
  const json::object& nodes_;
};

bool is_sampler(std::string_view type) {
  return std::find(std::begin(kSamplerNodes), std::end(kSamplerNodes), type) !=
         std::end(kSamplerNodes);
}

class Reader {
 public:
  explicit Reader(const json::object& nodes) : graph_(nodes) {}

  std::optional<Request> read() {
    const json::object* sampler = find_sampler();
    if (sampler == nullptr) return std::nullopt;
    request_.prompt_syntax = request_.emphasis = "comfyui";
    read_numbers(sampler);
    read_parts(sampler);
    read_size(sampler);
    const json::object* guider = graph_.linked(sampler, {"guider"});
    if (guider == nullptr) guider = sampler;
    request_.prompt = text_of(graph_.linked(guider, {"positive", "conditioning"}), "positive");
    request_.negative_prompt = text_of(graph_.linked(guider, {"negative"}), "negative");
    read_model(graph_.linked(guider, {"model"}));
    return request_;
  }

 private:
  /// The sampler that begins with noise alone; of several the one with the smallest id.
  const json::object* find_sampler() const {
    const json::object *best = nullptr, *any = nullptr;
    std::string_view best_id, any_id;
    const auto earlier = [](std::string_view a, std::string_view b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    };
    for (const auto& [key, value] : graph_.nodes()) {
      const json::object* node = value.if_object();
      if (!is_sampler(Graph::type(node))) continue;
      const std::string_view id(key);
      if (any == nullptr || earlier(id, any_id)) any = node, any_id = id;
      if (begins(node) && (best == nullptr || earlier(id, best_id))) best = node, best_id = id;
    }
    return best != nullptr ? best : any;
  }

  bool begins(const json::object* sampler) const {
    const json::object* node = graph_.linked(sampler, {"latent_image"});
    for (int depth = 0; node != nullptr && depth < kMaxDepth; ++depth) {
      if (is_sampler(Graph::type(node))) return false;
      if (Graph::input(node, "width") != nullptr) return true;
      node = graph_.linked(node, {"samples", "latent", "latent_image", "pixels", "image"});
    }
    return false;
  }

  /// A number, or that of the node that is linked to.
  std::optional<double> number(const json::value* value, int depth = 0) const {
    if (value == nullptr || depth > kMaxDepth || ++visits_ > kMaxVisits) return std::nullopt;
    if (value->is_number()) return value->to_number<double>();
    const json::object* node = graph_.linked(value);
    for (const std::string_view name : {"value", "seed", "noise_seed", "number", "int", "float"}) {
      if (const auto found = number(Graph::input(node, name), depth + 1)) return found;
    }
    return std::nullopt;
  }

  void set_whole(int64_t& into, const json::value* value) const {
    const auto found = number(value);
    if (found && *found == std::floor(*found) && *found >= 0 &&
        *found <= static_cast<double>(kMaxSeed))
      into = static_cast<int64_t>(*found);
  }

  void read_numbers(const json::object* node) {
    for (const std::string_view name : {"seed", "noise_seed"})
      set_whole(request_.seed, Graph::input(node, name));
    set_whole(request_.steps, Graph::input(node, "steps"));
    if (const auto cfg = number(Graph::input(node, "cfg"))) request_.cfg_scale = *cfg;
    const json::value* sampler = Graph::input(node, "sampler_name");
    if (sampler != nullptr && sampler->is_string())
      request_.sampler = comfy_sampler(std::string_view(sampler->get_string()));
    const json::value* schedule = Graph::input(node, "scheduler");
    if (schedule != nullptr && schedule->is_string())
      request_.schedule = comfy_schedule(std::string_view(schedule->get_string()));
  }

  /// What SamplerCustom has in nodes of their own.
  void read_parts(const json::object* sampler) {
    for (const std::string_view name : {"noise", "guider", "sampler", "sigmas"}) {
      const json::object* part = graph_.linked(sampler, {name});
      if (part == nullptr) continue;
      read_numbers(part);
      // Schedules have nodes of their own: KarrasScheduler, ...
      const std::string_view type = Graph::type(part);
      if (type == "KarrasScheduler") request_.schedule = "Karras";
      if (type == "ExponentialScheduler") request_.schedule = "Exponential";
      if (type == "PolyexponentialScheduler") request_.schedule = "Polyexponential";
      if (type == "AlignYourStepsScheduler") request_.schedule = "Align Your Steps";
    }
  }

  void read_size(const json::object* sampler) {
    const json::object* node = graph_.linked(sampler, {"latent_image"});
    for (int depth = 0; node != nullptr && depth < kMaxDepth; ++depth) {
      if (Graph::input(node, "width") != nullptr) {
        set_whole(request_.width, Graph::input(node, "width"));
        set_whole(request_.height, Graph::input(node, "height"));
        return;
      }
      node = graph_.linked(node, {"samples", "latent", "latent_image", "pixels", "image"});
    }
  }

  /// A text, or that of the node that is linked to.
  std::optional<std::string> text(const json::value* value, int depth) const {
    if (value == nullptr || depth > kMaxDepth || ++visits_ > kMaxVisits) return std::nullopt;
    if (value->is_string()) return std::string(value->get_string());
    const json::object* node = graph_.linked(value);
    for (const std::string_view name : {"text", "string", "value", "text_g", "prompt"}) {
      if (auto found = text(Graph::input(node, name), depth + 1)) return found;
    }
    return std::nullopt;
  }

  /// The text of a conditioning; `side` is the input that nodes with two go on with.
  std::string text_of(const json::object* node, std::string_view side) {
    for (int depth = 0; node != nullptr && depth < kMaxDepth; ++depth) {
      for (const std::string_view name : {"text", "text_g", "prompt"}) {
        if (const auto found = text(Graph::input(node, name), 0)) {
          read_clip(graph_.linked(node, {"clip"}));
          return *found;
        }
      }
      node = graph_.linked(node, {side, "conditioning", "conditioning_1", "conditioning_to"});
    }
    return "";
  }

  void read_clip(const json::object* node) {
    for (int depth = 0; node != nullptr && depth < kMaxDepth; ++depth) {
      const auto layer = number(Graph::input(node, "stop_at_clip_layer"));
      if (layer && *layer <= -1 && *layer >= -24)
        request_.clip_skip = static_cast<int64_t>(-*layer);
      node = graph_.linked(node, {"clip"});
    }
  }

  void add_lora(const json::value* name, std::optional<double> unet, std::optional<double> clip) {
    if (name == nullptr || !name->is_string() || loras_.size() >= kMaxLoras) return;
    const std::string file = stem(std::string_view(name->get_string()));
    if (file == "None" || file.find_first_of(":>=") != std::string::npos) return;
    const double weight = unet.value_or(1), text_weight = clip.value_or(weight);
    loras_.push_back(weight == text_weight
                         ? fmt::format("<lora:{}:{}>", file, weight)
                         : fmt::format("<lora:{}:{}:{}>", file, text_weight, weight));
  }

  void read_loras(const json::object* node) {
    const json::value* name = Graph::input(node, "lora_name");
    const auto unet = number(Graph::input(node, "strength_model"));
    if (name != nullptr)
      add_lora(name, unet,
               Graph::type(node) == "LoraLoaderModelOnly"
                   ? std::optional(0.)
                   : number(Graph::input(node, "strength_clip")));
    // rgthree's loader has an object for each.
    const json::value* inputs = node->if_contains("inputs");
    if (inputs == nullptr || !inputs->is_object()) return;
    for (const auto& [key, value] : inputs->get_object()) {
      const json::object* lora = value.if_object();
      const json::value* on = lora == nullptr ? nullptr : lora->if_contains("on");
      if (on == nullptr || !on->is_bool() || !on->get_bool()) continue;
      const auto strength = number(lora->if_contains("strength"));
      add_lora(lora->if_contains("lora"), strength, strength);
    }
  }

  void read_model(const json::object* node) {
    for (int depth = 0; node != nullptr && depth < kMaxDepth; ++depth) {
      read_loras(node);
      for (const std::string_view name : {"ckpt_name", "unet_name"}) {
        const json::value* file = Graph::input(node, name);
        if (file != nullptr && file->is_string())
          request_.model = stem(std::string_view(file->get_string()));
      }
      node = graph_.linked(node, {"model"});
    }
    // The one next to the checkpoint acts first.
    std::reverse(loras_.begin(), loras_.end());
    for (const std::string& tag : loras_) request_.prompt += tag;
  }

  Graph graph_;
  Request request_;
  std::vector<std::string> loras_;
  mutable int visits_ = 0;
};

}  // namespace

std::string comfy_sampler(std::string_view name) {
  constexpr std::string_view kGpu = "_gpu";  // where the noise is drawn
  if (name.ends_with(kGpu)) name.remove_suffix(kGpu.size());
  return webui_name(kSamplers, name);
}

std::string comfy_schedule(std::string_view name) { return webui_name(kSchedules, name); }

std::optional<Request> request_of_comfy(const json::object& graph) { return Reader(graph).read(); }

}  // namespace safelight::request
