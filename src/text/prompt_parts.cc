#include "text/prompt_parts.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/prompt.h"
#include "text/unicode.h"

namespace safelight::text {
namespace {

using CodeView = std::u32string_view;

constexpr CodeView kAnd = U"AND";

std::string to_utf8(CodeView text) {
  std::string result;
  for (const char32_t code : text) append_utf8(result, code);
  return result;
}

CodeView trimmed_right(CodeView text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// "1", "1.", "1.5", ".5", with a sign or none, in the decimal digits of any script.
std::optional<double> read_weight(CodeView text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  const bool minus = !text.empty() && text.front() == U'-';
  if (minus || (!text.empty() && text.front() == U'+')) text.remove_prefix(1);
  std::string number;
  for (const char32_t code : text) {
    const int digit = decimal_digit(code);
    if (digit < 0 && code != U'.') return std::nullopt;
    number += digit < 0 ? '.' : static_cast<char>('0' + digit);
  }
  double weight = 0;
  const char* last = number.data() + number.size();
  const auto [rest, failure] =
      std::from_chars(number.data(), last, weight, std::chars_format::fixed);
  if (failure == std::errc::invalid_argument || rest != last) return std::nullopt;
  if (failure == std::errc::result_out_of_range) weight = kMaxPromptWeight;
  return std::clamp(minus ? -weight : weight, -kMaxPromptWeight, kMaxPromptWeight);
}

ComposedPart read_part(CodeView part) {
  part = trimmed_right(part);
  const size_t colon = part.rfind(U':');
  if (colon != CodeView::npos) {
    if (const std::optional<double> weight = read_weight(part.substr(colon + 1)))
      return {to_utf8(trimmed_right(part.substr(0, colon))), *weight};
  }
  return {to_utf8(part), 1};
}

}  // namespace

std::vector<ComposedPart> split_at_and(std::string_view prompt) {
  const CodePoints codes = decode_utf8(prompt);
  const CodeView text = codes;
  std::vector<ComposedPart> parts;
  size_t begin = 0;
  for (size_t at = text.find(kAnd); at != CodeView::npos; at = text.find(kAnd, at + kAnd.size())) {
    const size_t end = at + kAnd.size();
    if ((at > 0 && is_word(text[at - 1])) || (end < text.size() && is_word(text[end]))) continue;
    parts.push_back(read_part(text.substr(begin, at - begin)));
    begin = end;
  }
  parts.push_back(read_part(text.substr(begin)));
  return parts;
}

}  // namespace safelight::text
