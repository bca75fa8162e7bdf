#include "text/prompt_schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "text/unicode.h"

namespace safelight::text {
namespace {

constexpr size_t kMaxDepth = 256;  // of brackets, and so of the recursion that writes the text
constexpr std::string_view kSpecial = "\\()[]:|";
constexpr double kMostSteps = 1e9;

/// Text that is a signed number with white space around it (lark's SIGNED_NUMBER), without that.
std::optional<std::string> number_text(std::string_view text) {
  const CodePoints codes = decode_utf8(text);
  size_t begin = 0, end = codes.size();
  while (begin < end && is_space(codes[begin])) ++begin;
  while (end > begin && is_space(codes[end - 1])) --end;
  std::string number;
  for (size_t i = begin; i < end; ++i) {
    if (codes[i] > 0x7F) return std::nullopt;
    number += static_cast<char>(codes[i]);
  }
  return number.empty() ? std::nullopt : std::optional(number);
}

}  // namespace

/// Reads a prompt from left to right with a stack of open brackets. What is inside of brackets that
/// turn out to be none of the grammar moves to the top, where any bracket is text: brackets around
/// it cannot be of the grammar either. So every node moves once at most.
class ScheduleParser {
 public:
  explicit ScheduleParser(PromptSchedule& schedule) : schedule_(schedule) {}

  /// False for a prompt that the grammar cannot read.
  bool parse() {
    const std::string_view prompt = schedule_.prompt_;
    size_t at = 0;
    while (at < prompt.size()) {
      const size_t next = std::min(prompt.find_first_of(kSpecial, at), prompt.size());
      if (next > at) {
        add_text(at, next);
        at = next;
      } else if (prompt[at] == '\\') {
        if (at + 1 >= prompt.size() || prompt[at + 1] == '\n') return false;
        add_text(at, at + 2);
        at += 2;
      } else {
        if (!take_mark(at)) return false;
        ++at;
      }
    }
    return give_up_open();
  }

 private:
  using Sequence = PromptSchedule::Sequence;
  using Kind = PromptSchedule::Kind;
  struct Open {
    size_t at;                    ///< of the bracket
    std::vector<Sequence> parts;  ///< between colons or bars
    std::vector<size_t> marks;    ///< where those are
    bool has_bars = false, has_colons = false;
  };

  bool take_mark(size_t at) {
    switch (schedule_.prompt_[at]) {
      case '(':
      case '[':
        if (open_.size() >= kMaxDepth) return false;
        open_.push_back({.at = at, .parts = {Sequence()}, .marks = {}});
        return true;
      case '|':
        if (open_.empty() || schedule_.prompt_[open_.back().at] != '[') return false;
        open_.back().has_bars = true;
        return separate(at);
      case ':':
        if (open_.empty()) {
          add_text(at, at + 1);
          return true;
        }
        open_.back().has_colons = true;
        return separate(at);
      default:
        return close(at);
    }
  }

  bool separate(size_t at) {
    open_.back().marks.push_back(at);
    open_.back().parts.emplace_back();
    return true;
  }

  bool close(size_t at) {
    const char opener = schedule_.prompt_[at] == ')' ? '(' : '[';
    if (!open_.empty() && schedule_.prompt_[open_.back().at] == opener) {
      Open bracket = std::move(open_.back());
      open_.pop_back();
      if (finish(bracket, at)) return true;
      open_.push_back(std::move(bracket));
    }
    if (!give_up_open()) return false;
    add_text(at, at + 1);
    return true;
  }

  /// Makes a node of a closed bracket; false where it is none of the grammar.
  bool finish(Open& bracket, size_t at) {
    const size_t colons = bracket.parts.size() - 1;
    if (bracket.has_bars) {
      if (bracket.has_colons) return false;
      schedule_.has_alternation_ = true;
      add({.kind = Kind::kAlternate, .parts = std::move(bracket.parts)});
      return true;
    }
    if (schedule_.prompt_[bracket.at] == '(' ? colons <= 1 : colons == 0) {
      add({.kind = Kind::kGroup, .parts = {as_text(bracket, at)}});
      return true;
    }
    if (schedule_.prompt_[bracket.at] == '(' || colons > 2) return false;
    const std::optional<PromptSchedule::When> when = read_when(bracket.marks.back() + 1, at);
    if (!when) return false;
    bracket.parts.pop_back();
    if (colons == 1) bracket.parts.insert(bracket.parts.begin(), Sequence());
    add({.kind = Kind::kSwitch,
         .parts = std::move(bracket.parts),
         .when = static_cast<uint32_t>(schedule_.switches_.size())});
    schedule_.switches_.push_back(*when);
    return true;
  }

  std::optional<PromptSchedule::When> read_when(size_t begin, size_t end) const {
    std::optional<std::string> text =
        number_text(std::string_view(schedule_.prompt_).substr(begin, end - begin));
    if (!text) return std::nullopt;
    std::string_view digits = *text;
    const bool minus = digits.front() == '-';
    if (minus || digits.front() == '+') digits.remove_prefix(1);
    // from_chars knows more numbers ("inf", hexadecimal ones) than the grammar.
    const bool plain = digits.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
    if (digits.empty() || !plain || digits.front() == '-') return std::nullopt;
    double value = 0;
    const char* last = digits.data() + digits.size();
    const auto [rest, failure] = std::from_chars(digits.data(), last, value);
    if (failure == std::errc::invalid_argument || rest != last) return std::nullopt;
    if (failure == std::errc::result_out_of_range)
      value = digits.find('-') == std::string_view::npos ? kMostSteps : 0;
    return PromptSchedule::When{.value = minus ? -value : value,
                                .is_fraction = digits.find('.') != std::string_view::npos};
  }

  /// What is between brackets as it was written, brackets included; without `end` as if never
  /// closed.
  Sequence as_text(Open& bracket, std::optional<size_t> end) {
    Sequence sequence = {text_node(bracket.at)};
    for (size_t i = 0; i < bracket.parts.size(); ++i) {
      if (i > 0) sequence.push_back(text_node(bracket.marks[i - 1]));
      sequence.insert(sequence.end(), bracket.parts[i].begin(), bracket.parts[i].end());
    }
    if (end) sequence.push_back(text_node(*end));
    return sequence;
  }

  /// All open brackets are text; false where a bar in them would be.
  bool give_up_open() {
    for (Open& bracket : open_) {
      if (bracket.has_bars) return false;
      const Sequence sequence = as_text(bracket, std::nullopt);
      schedule_.root_.insert(schedule_.root_.end(), sequence.begin(), sequence.end());
    }
    open_.clear();
    return true;
  }

  void add_text(size_t begin, size_t end) {
    add({.kind = Kind::kText, .begin = begin, .end = end});
  }
  uint32_t text_node(size_t at) {
    schedule_.nodes_.push_back({.kind = Kind::kText, .begin = at, .end = at + 1});
    return static_cast<uint32_t>(schedule_.nodes_.size() - 1);
  }
  void add(PromptSchedule::Node node) {
    schedule_.nodes_.push_back(std::move(node));
    Sequence& sequence = open_.empty() ? schedule_.root_ : open_.back().parts.back();
    sequence.push_back(static_cast<uint32_t>(schedule_.nodes_.size() - 1));
  }

  PromptSchedule& schedule_;
  std::vector<Open> open_;
};

PromptSchedule::PromptSchedule(std::string_view prompt) : prompt_(prompt) {
  if (ScheduleParser(*this).parse()) return;
  nodes_ = {Node{.kind = Kind::kText, .begin = 0, .end = prompt_.size()}};
  root_ = {0};
  switches_.clear();
  has_alternation_ = false;
}

int64_t PromptSchedule::When::step(const ScheduleSteps& steps) const {
  double step = value;
  if (is_fraction) {
    step = (value - (steps.first_pass ? 1.0 : 0.0)) * static_cast<double>(steps.steps);
  } else if (steps.first_pass) {
    step = value - static_cast<double>(*steps.first_pass);
  }
  return std::min(steps.steps, static_cast<int64_t>(std::clamp(step, -kMostSteps, kMostSteps)));
}

std::vector<int64_t> PromptSchedule::ends(const ScheduleSteps& steps) const {
  std::set<int64_t> ends = {steps.steps};
  for (const When& when : switches_) {
    if (const int64_t step = when.step(steps); step >= 1) ends.insert(step);
  }
  for (int64_t step = 1; has_alternation_ && step <= steps.steps; ++step) ends.insert(step);
  return {ends.begin(), ends.end()};
}

std::string PromptSchedule::text(int64_t step, const ScheduleSteps& steps) const {
  std::vector<int64_t> whens;
  for (const When& when : switches_) whens.push_back(when.step(steps));
  std::string text;
  append(text, root_, step, whens);
  return text;
}

void PromptSchedule::append(std::string& out, const Sequence& sequence, int64_t step,
                            const std::vector<int64_t>& whens) const {
  for (const uint32_t number : sequence) {
    const Node& node = nodes_[number];
    switch (node.kind) {
      case Kind::kText:
        out.append(prompt_, node.begin, node.end - node.begin);
        break;
      case Kind::kGroup:
        append(out, node.parts[0], step, whens);
        break;
      case Kind::kSwitch:
        append(out, node.parts[step <= whens[node.when] ? 0 : 1], step, whens);
        break;
      case Kind::kAlternate: {
        const auto count = static_cast<int64_t>(node.parts.size());
        append(out, node.parts[static_cast<size_t>((step - 1) % count)], step, whens);
        break;
      }
    }
  }
}

std::vector<ScheduledText> schedule_prompt(std::string_view prompt, const ScheduleSteps& steps) {
  const PromptSchedule schedule(prompt);
  std::vector<ScheduledText> texts;
  for (const int64_t end : schedule.ends(steps)) texts.push_back({end, schedule.text(end, steps)});
  return texts;
}

size_t schedule_entry(const std::vector<int64_t>& ends, int64_t evaluation) {
  const auto found = std::lower_bound(ends.begin(), ends.end(), evaluation);
  return found == ends.end() ? 0 : static_cast<size_t>(found - ends.begin());
}

}  // namespace safelight::text
