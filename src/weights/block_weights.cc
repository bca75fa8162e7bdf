#include "weights/block_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"

namespace safelight::weights {
namespace {

constexpr double kMost = 100;
constexpr size_t kMostText = 1000;

/// The blocks that the lists of each length name behind BASE: input blocks, the middle one, output
/// blocks, with gaps where a LoRA of attention layers alone has nothing.
struct Layout {
  size_t numbers;
  std::vector<int64_t> input, output;
};

const std::array<Layout, 4>& layouts() {
  static const std::array<Layout, 4> all = {{
      {12, {4, 5, 7, 8}, {0, 1, 2, 3, 4, 5}},
      {17, {1, 2, 4, 5, 7, 8}, {3, 4, 5, 6, 7, 8, 9, 10, 11}},
      {20, {0, 1, 2, 3, 4, 5, 6, 7, 8}, {0, 1, 2, 3, 4, 5, 6, 7, 8}},
      {26, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
  }};
  return all;
}

/// The presets of sd-webui-lora-block-weight, for 17 numbers.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kPresets = {{
    {"NONE", "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"},
    {"ALL", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"},
    {"INS", "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0"},
    {"IND", "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0"},
    {"INALL", "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0"},
    {"MIDD", "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0"},
    {"OUTD", "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0"},
    {"OUTS", "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1"},
    {"OUTALL", "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"},
    {"ALL0.5", "0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5"},
}};

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = failure == std::errc() && end == text.data() + text.size();
  if (!whole || !std::isfinite(value) || std::abs(value) > kMost) return std::nullopt;
  return value;
}

/// The number behind `prefix` in "input_blocks.4.1...".
std::optional<int64_t> block_number(std::string_view layer, std::string_view prefix) {
  if (!layer.starts_with(prefix)) return std::nullopt;
  layer.remove_prefix(prefix.size());
  int64_t number = 0;
  const auto [end, failure] = std::from_chars(layer.data(), layer.data() + layer.size(), number);
  if (failure != std::errc()) return std::nullopt;
  return number;
}

/// The factor at `first` + where `block` stands among `blocks`.
double factor_of(const std::vector<double>& weights, size_t first,
                 const std::vector<int64_t>& blocks, int64_t block) {
  const auto found = std::find(blocks.begin(), blocks.end(), block);
  return found == blocks.end() ? 0 : weights[first + static_cast<size_t>(found - blocks.begin())];
}

}  // namespace

Result<std::vector<double>> parse_block_weights(std::string_view text) {
  text = trimmed(text);
  for (const auto& [name, numbers] : kPresets) {
    if (text == name) text = numbers;
  }
  std::vector<double> weights;
  for (std::string_view rest = text.substr(0, kMostText);;) {
    const size_t comma = rest.find(',');
    const std::optional<double> number = parse_number(rest.substr(0, comma));
    if (!number) {
      return Error{
          ErrorCode::kInvalidArgument,
          fmt::format("block weights '{}' are neither numbers in [-{:.0f}, {:.0f}] nor one "
                      "of NONE, ALL, INS, IND, INALL, MIDD, OUTD, OUTS, OUTALL, ALL0.5",
                      utf8_prefix(text, 100), kMost, kMost)};
    }
    weights.push_back(*number);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  const bool known = std::any_of(layouts().begin(), layouts().end(), [&](const Layout& layout) {
    return layout.numbers == weights.size();
  });
  if (!known) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("there are {} block weights; SD 1.x needs 17 or 26, SDXL 12 or 20",
                             weights.size())};
  }
  return weights;
}

double block_weight(const std::vector<double>& weights, std::string_view network,
                    std::string_view layer) {
  const auto layout = std::find_if(layouts().begin(), layouts().end(), [&](const Layout& known) {
    return known.numbers == weights.size();
  });
  if (layout == layouts().end()) return 1;
  if (network != "unet") return weights[0];
  const size_t middle = 1 + layout->input.size();
  if (const auto block = block_number(layer, "input_blocks."))
    return factor_of(weights, 1, layout->input, *block);
  if (const auto block = block_number(layer, "output_blocks."))
    return factor_of(weights, middle + 1, layout->output, *block);
  return layer.starts_with("middle_block.") ? weights[middle] : 1;
}

}  // namespace safelight::weights
