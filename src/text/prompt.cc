#include "text/prompt.h"

#include <charconv>
#include <optional>

#include "text/unicode.h"

namespace safelight::text {
namespace {

constexpr double kRound = 1.1, kSquare = 1 / 1.1;
constexpr size_t kMaxOpen = 256;  // brackets of a kind: keeps the work linear
constexpr std::string_view kBreak = "BREAK";
constexpr std::string_view kSpace = " \t\n\r\f\v";

bool is_space(char c) { return kSpace.find(c) != std::string_view::npos; }

/// ":1.5)" at the front of the text: its weight and length.
struct WeightMark {
  double weight;
  size_t length;
};
std::optional<WeightMark> weight_mark(std::string_view text) {
  size_t at = 1;
  const auto skip_space = [&] {
    while (at < text.size() && is_space(text[at])) ++at;
  };
  skip_space();
  if (at < text.size() && text[at] == '+') ++at;  // from_chars takes only a minus
  if (at >= text.size() || (text[at] == '-' && text[at - 1] == '+')) return std::nullopt;
  double weight = 0;
  const auto [end, failure] = std::from_chars(text.data() + at, text.data() + text.size(), weight,
                                              std::chars_format::fixed);
  if (failure != std::errc()) return std::nullopt;
  const char last = *(end - 1);
  if (last != '.' && (last < '0' || last > '9')) return std::nullopt;  // "inf", "nan"
  at = static_cast<size_t>(end - text.data());
  skip_space();
  if (at >= text.size() || text[at] != ')') return std::nullopt;
  return WeightMark{weight, at + 1};
}

/// Whether the character that ends `before`, or begins `after`, is part of a word.
bool ends_in_word(std::string_view before) {
  if (before.empty()) return false;
  size_t begin = before.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(before[begin]) & 0xC0) == 0x80) --begin;
  const char32_t code = decode_utf8(before.substr(begin)).back();
  return code == U'_' || classify(code) == CodeClass::kLetter ||
         classify(code) == CodeClass::kNumber;
}
bool begins_in_word(std::string_view after) {
  if (after.empty()) return false;
  const char32_t code = decode_utf8(after.substr(0, 4)).front();
  return code == U'_' || classify(code) == CodeClass::kLetter ||
         classify(code) == CodeClass::kNumber;
}

class Parser {
 public:
  std::vector<PromptPart> parse(std::string_view prompt) {
    while (!prompt.empty()) prompt.remove_prefix(take(prompt));
    for (const size_t open : round_) multiply(open, kRound);
    for (const size_t open : square_) multiply(open, kSquare);
    return merged();
  }

 private:
  /// Reads one item from the front; gives its length.
  size_t take(std::string_view text) {
    switch (text[0]) {
      case '\\':
        return take_escape(text);
      case '(':
        if (round_.size() >= kMaxOpen) return literal(text.substr(0, 1));
        round_.push_back(parts_.size());
        return 1;
      case '[':
        if (square_.size() >= kMaxOpen) return literal(text.substr(0, 1));
        square_.push_back(parts_.size());
        return 1;
      case ')':
        return close(round_, kRound, text);
      case ']':
        return close(square_, kSquare, text);
      case ':': {
        const std::optional<WeightMark> mark = weight_mark(text);
        if (!mark) return literal(text.substr(0, 1));
        if (round_.empty()) return literal(text.substr(0, mark->length));
        close(round_, mark->weight, text);
        return mark->length;
      }
      default:
        return take_plain(text.substr(0, text.find_first_of("\\()[]:")));
    }
  }

  size_t take_escape(std::string_view text) {
    const bool escapes =
        text.size() > 1 && std::string_view("()[]\\").find(text[1]) != std::string_view::npos;
    // A backslash before anything else is itself dropped, as SD WebUI does.
    literal(escapes ? text.substr(1, 1) : std::string_view());
    return escapes ? 2 : 1;
  }

  size_t close(std::vector<size_t>& open, double factor, std::string_view text) {
    if (open.empty()) return literal(text.substr(0, 1));
    multiply(open.back(), factor);
    open.pop_back();
    return 1;
  }

  size_t literal(std::string_view text) {
    parts_.push_back({std::string(text)});
    return text.size();
  }

  /// Text without brackets: cut at the word BREAK, with the white space around it.
  size_t take_plain(std::string_view text) {
    size_t begin = 0;
    for (size_t at = text.find(kBreak); at != std::string_view::npos;
         at = text.find(kBreak, at + 1)) {
      const size_t end = at + kBreak.size();
      if (ends_in_word(text.substr(0, at)) || begins_in_word(text.substr(end))) continue;
      std::string_view before = text.substr(begin, at - begin);
      while (!before.empty() && is_space(before.back())) before.remove_suffix(1);
      literal(before);
      parts_.push_back({"", 1, true});
      begin = end;
      while (begin < text.size() && is_space(text[begin])) ++begin;
      at = begin - 1;
    }
    literal(text.substr(begin));
    return text.size();
  }

  void multiply(size_t from, double factor) {
    for (size_t i = from; i < parts_.size(); ++i) parts_[i].weight *= factor;
  }

  std::vector<PromptPart> merged() const {
    std::vector<PromptPart> result;
    for (const PromptPart& part : parts_) {
      if (part.is_break) {
        result.push_back({"", 1, true});
      } else if (!result.empty() && !result.back().is_break &&
                 result.back().weight == part.weight) {
        result.back().text += part.text;
      } else {
        result.push_back(part);
      }
    }
    if (result.empty()) result.push_back({});
    return result;
  }

  std::vector<PromptPart> parts_;
  std::vector<size_t> round_, square_;
};

}  // namespace

std::vector<PromptPart> parse_prompt(std::string_view prompt) { return Parser().parse(prompt); }

}  // namespace safelight::text
