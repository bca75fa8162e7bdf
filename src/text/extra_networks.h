#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace safelight::text {

/// A tag in a prompt that is no text to draw: <kind:argument:name=value:...>.
struct NetworkTag {
  std::string kind;                     ///< "lora", "lyco", "hypernet", ...
  std::vector<std::string> positional;  ///< may be empty: <lora:a=b>
  std::vector<std::pair<std::string, std::string>> named;

  /// The value of a named argument; the last where it comes twice.
  std::optional<std::string> find(std::string_view name) const;
  bool operator==(const NetworkTag&) const = default;
};

struct TaggedPrompt {
  std::string text;  ///< without the tags
  std::vector<NetworkTag> tags;
};

/// Takes SD WebUI's extra networks out of a prompt (modules/extra_networks.py, parse_prompt): each
/// <word:arguments>, whatever the word. An argument with one '=' is a named one. Linear in the
/// prompt's length.
TaggedPrompt take_network_tags(std::string_view prompt);

/// A LoRA that a prompt asks for.
struct LoraTag {
  std::string name;
  double text_encoder = 1, unet = 1;  ///< weights
  std::optional<int64_t> rank;        ///< use so many of its ranks alone
  /// What is multiplied to the weights in the blocks of the UNet, 12, 17, 20 or 26 of them
  /// (kLoraBlockCounts): the first is the text encoders', then input, middle and output blocks.
  /// Empty for all alike.
  std::vector<double> block_weights;
  bool operator==(const LoraTag&) const = default;
};

constexpr size_t kLoraBlockCounts[] = {12, 17, 20, 26};  ///< SDXL, SD 1.x; with every layer, both
constexpr double kMaxLoraWeight = 100;                   ///< of either sign
constexpr size_t kMaxLoras = 64;                         ///< in one prompt

/// The LoRAs among the tags of a prompt, in their order; tags of a kind that nobody has are left
/// out, as in SD WebUI. <lora:name:te:unet:rank>, <lora:name:te=0.5:unet=1:dyn=8> and the same with
/// `lyco` are read as SD WebUI does (extensions-builtin/Lora, extra_networks_lora.py): the UNet's
/// weight is the text encoder's where it is not given, and that 1. `in=`, `mid=`, `out=` are
/// SD.Next's weights of the UNet's parts; `lbw=`, and a list of numbers or a preset's name behind
/// the weights, are block weights of the extension sd-webui-lora-block-weight. Errors: kUnsupported
/// for hypernetworks and for weights that change from step to step; kInvalidArgument for what is no
/// number, and for too many or too large ones.
Result<std::vector<LoraTag>> lora_tags(const std::vector<NetworkTag>& tags);

}  // namespace safelight::text
