#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "text/prompt.h"

namespace safelight::text {
namespace {

constexpr size_t kMaxOpen = 256;  // brackets in each other

/// The weight behind the last colon of what brackets contain.
std::optional<double> explicit_weight(std::string_view text, size_t colon) {
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view number = trimmed(text.substr(colon + 1));
  if (number.starts_with('+')) number.remove_prefix(1);
  if (number.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double weight = 0;
  const char* end = number.data() + number.size();
  const auto [rest, failure] = std::from_chars(number.data(), end, weight);
  if (failure != std::errc() || rest != end) return std::nullopt;
  return std::clamp(weight, -kMaxPromptWeight, kMaxPromptWeight);
}

/// Whether a bracket there is a character: a backslash is before it.
bool is_escaped(std::string_view text, size_t at) { return at > 0 && text[at - 1] == '\\'; }

std::string without_escapes(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool escapes =
        text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '(' || text[at + 1] == ')');
    if (!escapes) plain += text[at];
  }
  return plain;
}

/// Cuts a text where its outermost brackets begin and end, as ComfyUI's parse_parentheses does: a
/// closing bracket too many counts below zero.
std::vector<std::string_view> cut(std::string_view text) {
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  int64_t depth = 0;
  const auto end_piece = [&](size_t end) {
    if (end > begin) pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  };
  for (size_t at = 0; at < text.size(); ++at) {
    if (is_escaped(text, at)) continue;
    if (text[at] == '(') {
      if (depth == 0) end_piece(at);
      ++depth;
    } else if (text[at] == ')') {
      --depth;
      if (depth == 0) end_piece(at + 1);
    }
  }
  end_piece(text.size());
  return pieces;
}

void append_parts(std::vector<PromptPart>& parts, std::string_view text, double weight,
                  size_t depth) {
  for (const std::string_view piece : cut(text)) {
    const bool in_brackets = piece.size() >= 2 && piece.front() == '(' && piece.back() == ')' &&
                             !is_escaped(piece, piece.size() - 1);
    if (!in_brackets || depth >= kMaxOpen) {
      parts.push_back({.text = without_escapes(piece), .weight = weight, .is_break = false});
      continue;
    }
    std::string_view inside = piece.substr(1, piece.size() - 2);
    const size_t colon = inside.rfind(':');
    const std::optional<double> own = explicit_weight(inside, colon);
    if (own) inside = inside.substr(0, colon);
    constexpr double kRound = 1.1;
    append_parts(parts, inside, own.value_or(weight * kRound), depth + 1);
  }
}

}  // namespace

std::vector<PromptPart> parse_comfyui(std::string_view prompt) {
  std::vector<PromptPart> parts;
  append_parts(parts, prompt, 1, 0);
  if (parts.empty()) parts.emplace_back();
  for (PromptPart& part : parts)
    part.weight = std::clamp(part.weight, -kMaxPromptWeight, kMaxPromptWeight);
  return parts;
}

Result<PromptSyntax> find_prompt_syntax(std::string_view name) {
  if (name == "webui") return PromptSyntax::kWebui;
  if (name == "comfyui") return PromptSyntax::kComfyui;
  if (name == "fixed") return PromptSyntax::kFixed;
  return Error{ErrorCode::kInvalidArgument,
               "prompt syntax '" + std::string(name) + "' is unknown; use webui, comfyui or fixed"};
}

std::vector<PromptPart> parse_prompt(std::string_view prompt, PromptSyntax syntax) {
  switch (syntax) {
    case PromptSyntax::kComfyui:
      return parse_comfyui(prompt);
    case PromptSyntax::kFixed:
      return {{.text = std::string(prompt), .weight = 1, .is_break = false}};
    case PromptSyntax::kWebui:
      break;
  }
  return parse_prompt(prompt);
}

}  // namespace safelight::text
