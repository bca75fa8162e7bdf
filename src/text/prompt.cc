#include "text/prompt.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/unicode.h"

namespace safelight::text {
namespace {

using CodeView = std::u32string_view;

constexpr double kRound = 1.1, kSquare = 1 / 1.1;
constexpr size_t kMaxOpen = 256;  // brackets of a kind: keeps the work linear
constexpr CodeView kBreak = U"BREAK", kSpecial = U"\\()[]:", kEscaped = U"\\()[]";

/// A weight ": 1.5 )" at the front of a text, and its length there.
struct WeightMark {
  double weight;
  size_t length;
};
std::optional<WeightMark> weight_mark(CodeView text) {
  size_t at = 1;
  const auto skip_space = [&] {
    while (at < text.size() && is_space(text[at])) ++at;
  };
  skip_space();
  std::string number;
  if (at < text.size() && (text[at] == U'+' || text[at] == U'-')) {
    if (text[at++] == U'-') number = "-";
  }
  for (; at < text.size(); ++at) {
    const int digit = decimal_digit(text[at]);
    if (digit < 0 && text[at] != U'.') break;
    number += digit < 0 ? '.' : static_cast<char>('0' + digit);
  }
  skip_space();
  if (at >= text.size() || text[at] != U')') return std::nullopt;
  double weight = 0;
  const char* last = number.data() + number.size();
  const auto [end, failure] =
      std::from_chars(number.data(), last, weight, std::chars_format::fixed);
  if (failure != std::errc() || end != last) return std::nullopt;
  return WeightMark{weight, at + 1};
}

/// A BREAK as a word of its own, with the white space around it.
struct BreakMark {
  size_t begin, end;
};
std::optional<BreakMark> find_break(CodeView text) {
  for (size_t at = text.find(kBreak); at != CodeView::npos; at = text.find(kBreak, at + 1)) {
    size_t begin = at, end = at + kBreak.size();
    if ((begin > 0 && is_word(text[begin - 1])) || (end < text.size() && is_word(text[end])))
      continue;
    while (begin > 0 && is_space(text[begin - 1])) --begin;
    while (end < text.size() && is_space(text[end])) ++end;
    return BreakMark{begin, end};
  }
  return std::nullopt;
}

class Parser {
 public:
  std::vector<PromptPart> parse(CodeView prompt) {
    while (!prompt.empty()) prompt.remove_prefix(take(prompt));
    for (const size_t open : round_) multiply(open, kRound);
    for (const size_t open : square_) multiply(open, kSquare);
    return merged();
  }

 private:
  /// Reads one item from the front; gives its length.
  size_t take(CodeView text) {
    switch (text[0]) {
      case U'\\':
        return take_escape(text);
      case U'(':
        return open(round_, text);
      case U'[':
        return open(square_, text);
      case U')':
        return close(round_, kRound, text.substr(0, 1));
      case U']':
        return close(square_, kSquare, text.substr(0, 1));
      case U':': {
        const std::optional<WeightMark> mark = weight_mark(text);
        if (!mark) return literal(text.substr(0, 1));
        return close(round_, mark->weight, text.substr(0, mark->length));
      }
      default:
        return take_plain(text.substr(0, text.find_first_of(kSpecial)));
    }
  }

  size_t take_escape(CodeView text) {
    const bool escapes = text.size() > 1 && kEscaped.find(text[1]) != CodeView::npos;
    // A backslash before anything else is itself dropped, as SD WebUI does.
    return 1 + literal(text.substr(1, escapes ? 1 : 0));
  }

  size_t open(std::vector<size_t>& brackets, CodeView text) {
    if (brackets.size() >= kMaxOpen) return literal(text.substr(0, 1));
    brackets.push_back(parts_.size());
    joins_ = false;
    return 1;
  }

  /// Ends what the last open bracket holds; `text`, which does so, is text itself where none is.
  size_t close(std::vector<size_t>& brackets, double factor, CodeView text) {
    if (brackets.empty()) return literal(text);
    multiply(brackets.back(), factor);
    brackets.pop_back();
    joins_ = false;
    return text.size();
  }

  size_t literal(CodeView text) {
    if (!joins_) parts_.emplace_back();
    joins_ = true;
    for (const char32_t code : text) append_utf8(parts_.back().text, code);
    return text.size();
  }

  /// Text without brackets, cut at the word BREAK.
  size_t take_plain(CodeView text) {
    CodeView rest = text;
    while (const std::optional<BreakMark> mark = find_break(rest)) {
      literal(rest.substr(0, mark->begin));
      parts_.push_back({.text = "", .weight = 1, .is_break = true});
      joins_ = false;
      rest.remove_prefix(mark->end);
    }
    literal(rest);
    return text.size();
  }

  void multiply(size_t from, double factor) {
    for (size_t i = from; i < parts_.size(); ++i) {
      double& weight = parts_[i].weight;
      weight = std::clamp(weight * factor, -kMaxPromptWeight, kMaxPromptWeight);
    }
  }

  std::vector<PromptPart> merged() const {
    std::vector<PromptPart> result;
    for (const PromptPart& part : parts_) {
      if (part.is_break) {
        result.push_back({.text = "", .weight = 1, .is_break = true});
      } else if (!result.empty() && !result.back().is_break &&
                 result.back().weight == part.weight) {
        result.back().text += part.text;
      } else {
        result.push_back(part);
      }
    }
    if (result.empty()) result.emplace_back();
    return result;
  }

  std::vector<PromptPart> parts_;
  std::vector<size_t> round_, square_;  ///< open brackets: the number of their first part
  bool joins_ = false;                  ///< the last part is text, and no bracket stands behind it
};

}  // namespace

std::vector<PromptPart> parse_prompt(std::string_view prompt) {
  return Parser().parse(decode_utf8(prompt));
}

}  // namespace safelight::text
