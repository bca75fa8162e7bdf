#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safelight::text {

/// One of the prompts that AND joins, with its weight in the guidance.
struct ComposedPart {
  std::string text;
  double weight = 1;
  bool operator==(const ComposedPart&) const = default;
};

/// Splits a prompt at the word AND, as SD WebUI does (modules/prompt_parser.py,
/// get_multicond_prompt_list): "a AND b :1.2" are "a" and " b", which weighs 1.2. A number behind a
/// colon at the end of a part is its weight, also where there is no AND. At least one part; weights
/// are within kMaxPromptWeight. Linear in the prompt's length.
std::vector<ComposedPart> split_at_and(std::string_view prompt);

}  // namespace safelight::text
