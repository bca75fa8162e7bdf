#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::text {

/// A piece of a prompt under one weight, or a BREAK, which ends the chunk of tokens.
struct PromptPart {
  std::string text;
  double weight = 1;
  bool is_break = false;
  bool operator==(const PromptPart&) const = default;
};

/// Weights stay within this, so that no prompt makes infinities.
constexpr double kMaxPromptWeight = 1e6;

/// Reads SD WebUI's attention language (modules/prompt_parser.py, parse_prompt_attention): (text)
/// weighs 1.1 times as much, [text] 1 / 1.1 times, (text:1.5) 1.5 times; they nest; \( \) \[ \]
/// \\ stand for the characters; brackets that are not closed reach to the end. Neighbours of equal
/// weight are one part; an empty prompt is one empty part. Other than there, a BREAK inside
/// brackets is a BREAK, what is no number is text where SD WebUI fails ("(a:1.2.3)"), and of each
/// kind of bracket 256 at most are open at once. Linear in the prompt's length.
std::vector<PromptPart> parse_prompt(std::string_view prompt);

/// How a prompt is read.
enum class PromptSyntax {
  kWebui,    ///< parse_prompt(), and schedules, AND and BREAK
  kComfyui,  ///< parse_comfyui()
  kFixed,    ///< as it is, without any weights (SD.Next's "fixed")
};

/// "webui", "comfyui", "fixed". Errors: kInvalidArgument.
Result<PromptSyntax> find_prompt_syntax(std::string_view name);

/// Reads ComfyUI's weights (comfy/sd1_clip.py, token_weights): (text) weighs 1.1 times what is
/// around it, (text:1.5) weighs 1.5 whatever is around it; they nest; \( \) stand for the
/// characters, and [ ] for themselves. Of brackets that are not closed none is read; 256 at most
/// are in each other. At least one part.
std::vector<PromptPart> parse_comfyui(std::string_view prompt);

std::vector<PromptPart> parse_prompt(std::string_view prompt, PromptSyntax syntax);

}  // namespace safelight::text
