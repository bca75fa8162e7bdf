#include "weights/components.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "weights/recognise.h"
#include "weights/scope.h"

namespace safelight::weights {
namespace {

constexpr int64_t kBigGWidth = 1280;
constexpr std::string_view kText = "text_encoder", kSecondText = "text_encoder_2";

std::string_view name_of(SeparateNetwork network) {
  switch (network) {
    case SeparateNetwork::kUnet:
      return "UNet";
    case SeparateNetwork::kTextEncoder:
      return "text encoder of CLIP's form";
    case SeparateNetwork::kVae:
      return "VAE";
  }
  return "";
}

bool is_of(const Network& found, SeparateNetwork network) {
  switch (network) {
    case SeparateNetwork::kUnet:
      return found.component == "unet";
    case SeparateNetwork::kTextEncoder:
      return found.component == kText || found.component == kSecondText;
    case SeparateNetwork::kVae:
      return found.component == "vae";
  }
  return false;
}

/// What stands before a text encoder's own names inside its prefix.
std::string inner_prefix(const TensorIndex& index, const std::string& prefix) {
  for (const std::string_view inner :
       {"transformer.text_model.", "transformer.encoder.", "model."}) {
    if (!Scope(index, prefix).has_under(inner)) continue;
    return prefix + std::string(inner.substr(0, inner.find('.') + 1));
  }
  return prefix;
}

/// The width of the text encoder under `prefix`; -1 where there is none.
int64_t text_width(const TensorIndex& index, const std::string& prefix) {
  const TensorView* table = Scope(index, prefix).first_ending("token_embedding.weight");
  return dimension(table, 1);
}

/// A network where a file has it.
struct Found {
  std::string prefix;
  int64_t width = -1;  ///< of text encoders
};

std::vector<Found> find_networks(const TensorIndex& index, SeparateNetwork network) {
  std::vector<Found> found;
  for (const Network& each : identify(index).networks) {
    if (!is_of(each, network)) continue;
    if (network == SeparateNetwork::kTextEncoder) {
      found.push_back({each.prefix, text_width(index, each.prefix)});
    } else {
      found.push_back({each.prefix});
    }
  }
  return found;
}

/// Which of the model's text encoders one of that width is.
std::string_view text_component(const std::vector<Found>& own, int64_t width) {
  const bool others =
      std::any_of(own.begin(), own.end(), [&](const Found& found) { return found.width != width; });
  return width == kBigGWidth && others ? kSecondText : kText;
}

/// Takes the networks out of whose kind one comes; of text encoders the one of its width, and one
/// whose name is needed.
void erase_networks(TensorIndex& model, const std::vector<Found>& own, const Found& part,
                    const std::string& target) {
  for (const Found& found : own) {
    if (found.width != part.width && found.prefix != target) continue;
    std::vector<std::string> names;
    for (const auto& [name, tensor] : model) {
      if (name.starts_with(found.prefix)) names.push_back(name);
    }
    for (const std::string& name : names) model.erase(name);
  }
}

}  // namespace

Status use_network(TensorIndex& model, TensorIndex part, SeparateNetwork network) {
  const std::vector<Found> found = find_networks(part, network);
  if (found.empty()) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: holds no {}; 'safelight inspect' tells what it is",
                    part.files().empty() ? "the file" : part.files().front(), name_of(network))};
  }
  const bool text = network == SeparateNetwork::kTextEncoder;
  for (const Found& from : found) {
    const std::vector<Found> own = find_networks(model, network);
    const std::string component(text                               ? text_component(own, from.width)
                                : network == SeparateNetwork::kVae ? "vae"
                                                                   : "unet");
    erase_networks(model, own, from, component + ".");
    const std::string prefix = text ? inner_prefix(part, from.prefix) : from.prefix;
    for (const auto& [name, tensor] : part) {
      if (!name.starts_with(prefix)) continue;
      const Status added = model.add(fmt::format("{}.{}", component, name.substr(prefix.size())),
                                     tensor, part.source_file(name));
      if (!added) return added;
    }
    model.identities[component] = part.identity;
    model.configs.erase(component);
    for (const char* key : {component.c_str(), ""}) {
      const auto config = part.configs.find(key);
      if (config == part.configs.end()) continue;
      model.configs.insert_or_assign(component, config->second);
      break;
    }
  }
  return {};
}

}  // namespace safelight::weights
