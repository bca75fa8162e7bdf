#include "text/extra_networks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include "base/text.h"
#include "text/unicode.h"

namespace safelight::text {
namespace {

using CodeView = std::u32string_view;

std::string to_utf8(CodeView codes) {
  std::string text;
  for (const char32_t code : codes) append_utf8(text, code);
  return text;
}

NetworkTag read_tag(CodeView kind, CodeView arguments) {
  NetworkTag tag{.kind = to_utf8(kind), .positional = {}, .named = {}};
  while (true) {
    const size_t end = std::min(arguments.find(U':'), arguments.size());
    const std::string argument = to_utf8(arguments.substr(0, end));
    const size_t equals = argument.find('=');
    if (equals != std::string::npos && argument.find('=', equals + 1) == std::string::npos) {
      tag.named.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
    } else {
      tag.positional.push_back(argument);
    }
    if (end == arguments.size()) return tag;
    arguments.remove_prefix(end + 1);
  }
}

/// The presets that come with sd-webui-lora-block-weight, for the 17 blocks of SD 1.x that LoRAs
/// change: text encoders, IN01, 02, 04, 05, 07, 08, MID, OUT03 to OUT11.
struct Preset {
  std::string_view name, weights;
};
constexpr Preset kPresets[] = {
    {"NONE", "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"},   {"ALL", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"},
    {"INS", "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0"},    {"IND", "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0"},
    {"INALL", "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0"},  {"MIDD", "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0"},
    {"OUTD", "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0"},   {"OUTS", "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1"},
    {"OUTALL", "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"},
};

std::optional<std::string_view> find_preset(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return preset.weights;
  }
  return std::nullopt;
}

std::optional<double> number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

/// Reads one <lora:...>.
class LoraReader {
 public:
  explicit LoraReader(const NetworkTag& tag) : tag_(tag) {}

  Result<LoraTag> read() {
    if (tag_.positional.empty() || trimmed(tag_.positional[0]).empty()) return bad("has no name");
    lora_.name = std::string(trimmed(tag_.positional[0]));
    if (Status done = check_names(); !done) return done.error();
    if (Status done = read_positional(); !done) return done.error();
    if (Status done = read_weights(); !done) return done.error();
    if (Status done = read_rank(); !done) return done.error();
    if (Status done = read_blocks(); !done) return done.error();
    return lora_;
  }

 private:
  Error bad(const std::string& what, ErrorCode code = ErrorCode::kInvalidArgument) const {
    const std::string name = tag_.positional.empty() ? "" : tag_.positional[0];
    return {code, fmt::format("<{}:{}> {}", tag_.kind, utf8_prefix(name, 80), what)};
  }

  Status check_names() const {
    for (const auto& [name, value] : tag_.named) {
      for (const std::string_view steps : {"step", "start", "stop"}) {
        if (name == steps)
          return bad(fmt::format("has {}=; a LoRA acts in every step here", steps),
                     ErrorCode::kUnsupported);
      }
    }
    return {};
  }

  /// Sorts out what stands behind the name: weights, rank, and what are block weights.
  Status read_positional() {
    for (size_t i = 1; i < tag_.positional.size(); ++i) {
      const std::string_view argument = trimmed(tag_.positional[i]);
      if (find_preset(argument) || argument.find(',') != std::string_view::npos) {
        blocks_ = argument;
      } else {
        plain_.push_back(argument);
      }
    }
    return plain_.size() <= 3 ? Status()
                              : bad("has too many arguments; name, text encoder's weight, UNet's "
                                    "weight and rank are possible");
  }

  Result<double> weight(std::string_view what, std::string_view text) const {
    const std::optional<double> value = number(text);
    if (value && std::abs(*value) <= kMaxLoraWeight) return *value;
    if (text.find('@') != std::string_view::npos)
      return bad("has a weight that changes from step to step; only constant ones are possible",
                 ErrorCode::kUnsupported);
    return bad(fmt::format("has '{}' as {}; a number from {} to {} is needed",
                           utf8_prefix(text, 40), what, -kMaxLoraWeight, kMaxLoraWeight));
  }

  /// Sets `into` from a named argument, else from the one at a place, if there is either.
  Status set(double& into, std::string_view name, size_t place) const {
    const std::optional<std::string> named = tag_.find(name);
    if (!named && place >= plain_.size()) return {};
    const auto value = weight(fmt::format("its weight '{}'", name), named ? *named : plain_[place]);
    if (!value) return value.error();
    into = *value;
    return {};
  }

  Status read_weights() {
    if (Status done = set(lora_.text_encoder, "te", 0); !done) return done;
    lora_.unet = lora_.text_encoder;
    return set(lora_.unet, "unet", 1);
  }

  Status read_rank() {
    const std::optional<std::string> named = tag_.find("dyn");
    if (!named && plain_.size() < 3) return {};
    const std::string text = named ? *named : std::string(plain_[2]);
    const std::optional<double> rank = number(text);
    constexpr double kMost = 1 << 20;
    if (!rank || *rank != std::floor(*rank) || *rank < 1 || *rank > kMost)
      return bad(fmt::format("has '{}' as its rank; a whole number from 1 is needed", text));
    lora_.rank = static_cast<int64_t>(*rank);
    return {};
  }

  Status read_blocks() {
    if (const std::optional<std::string> named = tag_.find("lbw")) blocks_ = *named;
    if (Status done = read_parts(); !done) return done;
    if (blocks_.empty()) return {};
    if (!lora_.block_weights.empty()) return bad("has block weights and weights of parts");
    std::string_view rest = blocks_;
    if (const auto preset = find_preset(rest)) rest = *preset;
    while (true) {
      const size_t end = std::min(rest.find(','), rest.size());
      const auto value = weight("a block weight", rest.substr(0, end));
      if (!value) return value.error();
      lora_.block_weights.push_back(*value);
      if (end == rest.size()) break;
      rest.remove_prefix(end + 1);
    }
    const size_t count = lora_.block_weights.size();
    if (std::find(std::begin(kLoraBlockCounts), std::end(kLoraBlockCounts), count) ==
        std::end(kLoraBlockCounts))
      return bad(
          fmt::format("has {} block weights; 12, 17, 20 or 26 numbers, or one of NONE, ALL, INS, "
                      "IND, INALL, MIDD, OUTD, OUTS, OUTALL are needed",
                      count));
    return {};
  }

  /// SD.Next's weights of the UNet's input, middle and output blocks.
  Status read_parts() {
    std::array<double, 3> parts{lora_.unet, lora_.unet, lora_.unet};
    constexpr std::array<std::string_view, 3> kParts = {"in", "mid", "out"};
    constexpr size_t kNoPlace = 9, kSide = 12;
    bool given = false;
    for (size_t i = 0; i < kParts.size(); ++i) {
      given = given || tag_.find(kParts[i]);
      if (Status done = set(parts[i], kParts[i], kNoPlace); !done) return done;
    }
    if (!given) return {};
    lora_.unet = 1;
    lora_.block_weights.assign(1, 1);
    lora_.block_weights.resize(1 + kSide, parts[0]);
    lora_.block_weights.push_back(parts[1]);
    lora_.block_weights.resize(2 + 2 * kSide, parts[2]);
    return {};
  }

  const NetworkTag& tag_;
  LoraTag lora_;
  std::vector<std::string_view> plain_;
  std::string blocks_;
};

}  // namespace

std::optional<std::string> NetworkTag::find(std::string_view name) const {
  for (auto entry = named.rbegin(); entry != named.rend(); ++entry) {
    if (entry->first == name) return entry->second;
  }
  return std::nullopt;
}

TaggedPrompt take_network_tags(std::string_view prompt) {
  if (prompt.find('<') == std::string_view::npos) return {std::string(prompt), {}};
  TaggedPrompt result;
  const CodePoints codes = decode_utf8(prompt);
  CodeView rest = codes;
  while (!rest.empty()) {
    const size_t open = std::min(rest.find(U'<'), rest.size());
    result.text += to_utf8(rest.substr(0, open));
    rest.remove_prefix(open);
    if (rest.empty()) break;
    size_t colon = 1;
    while (colon < rest.size() && is_word(rest[colon])) ++colon;
    const bool tagged = colon > 1 && colon + 1 < rest.size() && rest[colon] == U':';
    const size_t close = tagged ? rest.find(U'>', colon) : 0;
    if (close == CodeView::npos) {  // so it is for each that would follow
      result.text += to_utf8(rest);
      break;
    }
    if (!tagged || close == colon + 1) {
      result.text += '<';
      rest.remove_prefix(1);
      continue;
    }
    result.tags.push_back(
        read_tag(rest.substr(1, colon - 1), rest.substr(colon + 1, close - colon - 1)));
    rest.remove_prefix(close + 1);
  }
  return result;
}

Result<std::vector<LoraTag>> lora_tags(const std::vector<NetworkTag>& tags) {
  std::vector<LoraTag> loras;
  for (const NetworkTag& tag : tags) {
    if (tag.kind == "hypernet") {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("the prompt asks for the hypernetwork '{}'; hypernetworks are not "
                               "supported. A LoRA does what they did",
                               tag.positional.empty() ? "" : utf8_prefix(tag.positional[0], 80))};
    }
    if (tag.kind != "lora" && tag.kind != "lyco") continue;
    auto lora = LoraReader(tag).read();
    if (!lora) return lora.error();
    if (loras.size() == kMaxLoras)
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("the prompt asks for more than {} LoRAs", kMaxLoras)};
    loras.push_back(*std::move(lora));
  }
  return loras;
}

}  // namespace safelight::text
