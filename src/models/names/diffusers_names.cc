#include "models/names/diffusers_names.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace safelight::models::names {
namespace {

using Replacement = std::pair<std::string_view, std::string_view>;

/// `name` with its first matching prefix replaced; unchanged where none matches.
template <size_t N>
std::string replace_prefix(std::string_view name, const std::array<Replacement, N>& table) {
  for (const auto& [from, to] : table) {
    if (name.starts_with(from)) return std::string(to) + std::string(name.substr(from.size()));
  }
  return std::string(name);
}

/// Takes "<number>." from the front of `text`.
std::optional<int64_t> take_number(std::string_view& text) {
  int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end == text.data() + text.size() || *end != '.')
    return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return number;
}

/// Inside a UNet's residual block.
std::string res_part(std::string_view rest) {
  constexpr std::array<Replacement, 6> kParts = {{{"in_layers.0.", "norm1."},
                                                  {"in_layers.2.", "conv1."},
                                                  {"emb_layers.1.", "time_emb_proj."},
                                                  {"out_layers.0.", "norm2."},
                                                  {"out_layers.3.", "conv2."},
                                                  {"skip_connection.", "conv_shortcut."}}};
  return replace_prefix(rest, kParts);
}

/// `rest` is what stands behind "input_blocks.".
std::optional<std::string> input_block(std::string_view rest, int64_t blocks) {
  const std::optional<int64_t> number = take_number(rest);
  const std::optional<int64_t> part = take_number(rest);
  if (!number || !part) return std::nullopt;
  if (*number == 0) return "conv_in." + std::string(rest);
  const int64_t level = (*number - 1) / (blocks + 1), index = (*number - 1) % (blocks + 1);
  if (index == blocks) {
    return fmt::format("down_blocks.{}.downsamplers.0.conv.{}", level,
                       rest.substr(rest.find('.') + 1));
  }
  if (*part == 0) return fmt::format("down_blocks.{}.resnets.{}.{}", level, index, res_part(rest));
  return fmt::format("down_blocks.{}.attentions.{}.{}", level, index, rest);
}

/// `rest` is what stands behind "output_blocks.".
std::optional<std::string> output_block(std::string_view rest, int64_t blocks) {
  const std::optional<int64_t> number = take_number(rest);
  const std::optional<int64_t> part = take_number(rest);
  if (!number || !part) return std::nullopt;
  const int64_t level = *number / (blocks + 1), index = *number % (blocks + 1);
  if (*part == 0) return fmt::format("up_blocks.{}.resnets.{}.{}", level, index, res_part(rest));
  if (rest.starts_with("conv.")) return fmt::format("up_blocks.{}.upsamplers.0.{}", level, rest);
  return fmt::format("up_blocks.{}.attentions.{}.{}", level, index, rest);
}

/// Inside the autoencoder's middle and levels.
std::string autoencoder_res_part(std::string_view rest) {
  constexpr std::array<Replacement, 1> kParts = {{{"nin_shortcut.", "conv_shortcut."}}};
  return replace_prefix(rest, kParts);
}

/// "0.nin_shortcut.weight" -> "0.conv_shortcut.weight"
std::string autoencoder_resnet(std::string_view rest) {
  const size_t dot = rest.find('.') + 1;
  return std::string(rest.substr(0, dot)) + autoencoder_res_part(rest.substr(dot));
}

std::string autoencoder_middle(std::string_view rest) {
  if (rest.starts_with("block_1.")) return "resnets.0." + autoencoder_res_part(rest.substr(8));
  if (rest.starts_with("block_2.")) return "resnets.1." + autoencoder_res_part(rest.substr(8));
  constexpr std::array<Replacement, 5> kAttention = {
      {{"attn_1.norm.", "attentions.0.group_norm."},
       {"attn_1.q.", "attentions.0.to_q."},
       {"attn_1.k.", "attentions.0.to_k."},
       {"attn_1.v.", "attentions.0.to_v."},
       {"attn_1.proj_out.", "attentions.0.to_out.0."}}};
  return replace_prefix(rest, kAttention);
}

}  // namespace

std::string unet_name_in_diffusers(std::string_view name, int64_t blocks) {
  std::optional<std::string> found;
  if (name.starts_with("input_blocks.")) found = input_block(name.substr(13), blocks);
  if (name.starts_with("output_blocks.")) found = output_block(name.substr(14), blocks);
  if (name.starts_with("middle_block.0."))
    found = "mid_block.resnets.0." + res_part(name.substr(15));
  if (name.starts_with("middle_block.1."))
    found = "mid_block.attentions.0." + std::string(name.substr(15));
  if (name.starts_with("middle_block.2."))
    found = "mid_block.resnets.1." + res_part(name.substr(15));
  if (found) return *found;
  constexpr std::array<Replacement, 6> kEnds = {{{"time_embed.0.", "time_embedding.linear_1."},
                                                 {"time_embed.2.", "time_embedding.linear_2."},
                                                 {"label_emb.0.0.", "add_embedding.linear_1."},
                                                 {"label_emb.0.2.", "add_embedding.linear_2."},
                                                 {"out.0.", "conv_norm_out."},
                                                 {"out.2.", "conv_out."}}};
  return replace_prefix(name, kEnds);
}

std::string autoencoder_name_in_diffusers(std::string_view name, int64_t levels) {
  for (const std::string_view half : {"encoder.", "decoder."}) {
    if (!name.starts_with(half)) continue;
    const bool encoder = half == "encoder.";
    std::string_view rest = name.substr(half.size());
    if (rest.starts_with("mid."))
      return std::string(half) + "mid_block." + autoencoder_middle(rest.substr(4));
    if (rest.starts_with("norm_out."))
      return std::string(half) + "conv_norm_out." + std::string(rest.substr(9));
    if (!rest.starts_with(encoder ? "down." : "up.")) break;
    rest.remove_prefix(encoder ? 5 : 3);
    const std::optional<int64_t> number = take_number(rest);
    if (!number) break;
    const std::string level = encoder ? fmt::format("encoder.down_blocks.{}.", *number)
                                      : fmt::format("decoder.up_blocks.{}.", levels - 1 - *number);
    if (rest.starts_with("block.")) return level + "resnets." + autoencoder_resnet(rest.substr(6));
    if (rest.starts_with("downsample."))
      return level + "downsamplers.0." + std::string(rest.substr(11));
    if (rest.starts_with("upsample.")) return level + "upsamplers.0." + std::string(rest.substr(9));
    break;
  }
  return std::string(name);
}

}  // namespace safelight::models::names
