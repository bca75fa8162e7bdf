#include "text/dynamic_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include "base/text.h"

namespace safelight::text {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;  // of the expanded prompt
constexpr size_t kMaxDepth = 64;               // of options and wildcards in each other
constexpr size_t kMaxChoices = 20'000;         // in one prompt
constexpr size_t kMaxCompared = 20'000'000;    // values that they are made of
constexpr size_t kMaxName = 200;
constexpr std::string_view kMark = "__";
constexpr std::string_view kNotInNames = "{}$#()|:,<>[]\\\n\r";
constexpr int64_t kMostPicks = 1'000'000;

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere.
class Choices {
 public:
  explicit Choices(const DynamicOptions& options)
      : state_(options.seed ^ (options.stream * 0xD1342543DE82EF95ULL)) {
    next();
  }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  int64_t between(int64_t low, int64_t high) {
    const auto width = static_cast<double>(high - low + 1);
    return low + static_cast<int64_t>(uniform() * width);
  }

 private:
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

/// Where the brackets of a text match: for each open one its closing one, npos for others. Braces
/// count before square brackets: "{[a|b}" is an option "[a".
std::vector<size_t> match_brackets(std::string_view text) {
  std::vector<size_t> closing(text.size(), std::string_view::npos);
  std::vector<size_t> braces, squares;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\') {
      ++at;
    } else if (c == '{') {
      braces.push_back(at);
    } else if (c == '[') {
      squares.push_back(at);
    } else if (c == '}' && !braces.empty()) {
      closing[braces.back()] = at;
      while (!squares.empty() && squares.back() > braces.back()) squares.pop_back();
      braces.pop_back();
    } else if (c == ']' && !squares.empty() && (braces.empty() || squares.back() > braces.back())) {
      closing[squares.back()] = at;
      squares.pop_back();
    }
  }
  return closing;
}

/// The name in "__name__" at the front of a text, without a sampler's mark; empty where there is
/// none.
std::string_view wildcard_at(std::string_view text) {
  if (!text.starts_with(kMark)) return {};
  const size_t end = text.substr(0, kMaxName).find(kMark, kMark.size());
  if (end == std::string_view::npos) return {};
  const std::string_view name = text.substr(kMark.size(), end - kMark.size());
  return name.find_first_of(kNotInNames) == std::string_view::npos ? name : std::string_view();
}

struct PickRule {
  int64_t least = 1, most = 1;
  std::string separator = ",";
};

/// Reads "2$$", "1-3$$", "-2$$", "2- $$ and $$" from the front of what braces contain.
std::optional<PickRule> take_rule(std::string_view& text, size_t options) {
  const size_t mark = text.find("$$");
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view range = trimmed(text.substr(0, mark));
  const auto number = [](std::string_view digits, int64_t otherwise) -> std::optional<int64_t> {
    if (digits.empty()) return otherwise;
    int64_t value = 0;
    const auto [rest, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failure != std::errc() || rest != digits.data() + digits.size() || value < 0)
      return std::nullopt;
    return std::min(value, kMostPicks);
  };
  const size_t hyphen = range.find('-');
  const auto count = static_cast<int64_t>(options);
  const auto least = number(range.substr(0, hyphen), 1);
  const auto most =
      hyphen == std::string_view::npos ? least : number(range.substr(hyphen + 1), count);
  if (range.empty() || range == "-" || !least || !most) return std::nullopt;
  PickRule rule{.least = std::min(*least, *most), .most = std::max(*least, *most)};
  text.remove_prefix(mark + 2);
  const size_t next = text.find("$$");
  if (next != std::string_view::npos &&
      text.substr(0, next).find_first_of("${}") == std::string_view::npos) {
    rule.separator = std::string(text.substr(0, next));
    text.remove_prefix(next + 2);
  }
  return rule;
}

/// What braces contain, cut at the bars that are in no further brackets.
std::vector<std::string_view> split_options(std::string_view text) {
  const std::vector<size_t> closing = match_brackets(text);
  std::vector<std::string_view> options;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (closing[at] != std::string_view::npos) {
      at = closing[at];
    } else if (text[at] == '|') {
      options.push_back(text.substr(begin, at - begin));
      begin = at + 1;
    }
  }
  options.push_back(text.substr(begin));
  return options;
}

class Expander {
 public:
  Expander(const DynamicOptions& options, WildcardFiles& files)
      : options_(options), files_(files), choices_(options) {}

  Result<std::string> expand(std::string_view prompt) {
    if (Status done = append(prompt); !done) return done.error();
    return std::move(out_);
  }

 private:
  Status append(std::string_view text) {
    if (depth_ >= kMaxDepth) return too_much(fmt::format("is more than {} deep", kMaxDepth));
    ++depth_;
    const std::vector<size_t> closing = match_brackets(text);
    size_t at = 0;
    Status done;
    while (at < text.size() && done) {
      const std::string_view rest = text.substr(at);
      const std::string_view name = wildcard_at(rest);
      if (rest[0] == '\\') {
        done = put(rest.substr(0, 2));
        at += 2;
      } else if (rest[0] == '{' && closing[at] != std::string_view::npos) {
        if (at > 0 && text[at - 1] == '$') return variables();
        done = choose_option(text.substr(at + 1, closing[at] - at - 1));
        at = closing[at] + 1;
      } else if (!name.empty()) {
        done = choose_line(name);
        at += name.size() + 2 * kMark.size();
      } else {
        const size_t plain = std::min(rest.find_first_of("\\{_", 1), rest.size());
        done = put(rest.substr(0, plain));
        at += plain;
      }
    }
    --depth_;
    return done;
  }

  Status put(std::string_view text) {
    out_ += text;
    return out_.size() <= kMaxBytes ? Status()
                                    : too_much(fmt::format("has more than {} bytes", kMaxBytes));
  }

  Status choose_option(std::string_view inside) {
    while (inside.starts_with(' ')) inside.remove_prefix(1);
    if (!inside.empty() && std::string_view("~@!").find(inside[0]) != std::string_view::npos)
      inside.remove_prefix(1);
    std::string_view body = inside;
    const std::optional<PickRule> asked = take_rule(body, split_options(inside).size());
    const std::vector<std::string_view> texts = split_options(body);
    WildcardValues values;
    if (asked && texts.size() == 1) {
      const std::string_view name = wildcard_at(texts[0]);
      if (!name.empty() && name.size() + 2 * kMark.size() == texts[0].size()) {
        auto lines = lines_of(name);
        if (!lines) return lines.error();
        const Entered entered(*this, name);
        return pick(**lines, *asked);
      }
      return append(texts[0]);
    }
    for (std::string_view text : texts) {
      while (!text.empty() && (text[0] == ' ' || text[0] == '\n' || text[0] == '\t'))
        text.remove_prefix(1);
      values.push_back(read_weighted(text));
    }
    return pick(values, asked.value_or(PickRule()));
  }

  Status choose_line(std::string_view name) {
    const std::string_view written = name;
    if (std::string_view("~@!").find(name[0]) != std::string_view::npos) name.remove_prefix(1);
    const auto lines = lines_of(name);
    if (!lines) return lines.error();
    if ((*lines)->empty()) return put(fmt::format("{}{}{}", kMark, written, kMark));
    const Entered entered(*this, name);
    return pick(**lines, {});
  }

  /// A wildcard's lines; none where it is unknown and may be.
  Result<std::shared_ptr<const WildcardValues>> lines_of(std::string_view name) {
    if (std::find(inside_.begin(), inside_.end(), name) != inside_.end()) {
      std::string chain;
      for (const std::string& outer : inside_) chain += fmt::format("__{}__ -> ", outer);
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("wildcards go round in a circle: {}__{}__; take one of them out of "
                               "the other's file",
                               chain, name)};
    }
    auto lines = files_.values(name);
    if (!lines || !(*lines)->empty() || options_.keeps_unknown) return lines;
    const std::vector<std::string> names = files_.names();
    const std::string_view near = nearest_name(name, {names.begin(), names.end()});
    return Error{
        ErrorCode::kNotFound,
        fmt::format("there is no file {}.txt in the folders of wildcards for __{}__{}; "
                    "\\_\\_ stands for two underscores",
                    name, name, near.empty() ? "" : fmt::format(" (did you mean __{}__?)", near))};
  }

  /// Chooses some of the values, each once, and expands them.
  Status pick(const WildcardValues& values, const PickRule& rule) {
    const auto count = static_cast<int64_t>(values.size());
    const int64_t least = std::min(rule.least, count), most = std::min(rule.most, count);
    const int64_t picks = least == most ? least : choices_.between(least, most);
    std::set<size_t> taken;
    Status done;
    for (int64_t i = 0; i < picks && done; ++i) {
      ++made_;
      compared_ += values.size();
      if (made_ > kMaxChoices || compared_ > kMaxCompared)
        return too_much("needs too many choices");
      const size_t chosen = choose(values, taken);
      if (picks > 1) taken.insert(chosen);
      if (i > 0) done = put(rule.separator);
      if (done) done = append(values[chosen].text);
    }
    return done;
  }

  /// By weight, of those that are not taken; all weigh the same where all that is left weighs 0.
  size_t choose(const WildcardValues& values, const std::set<size_t>& taken) {
    double total = 0;
    for (size_t i = 0; i < values.size(); ++i) total += taken.contains(i) ? 0 : values[i].weight;
    const bool all_equal = !(total > 0);
    if (all_equal) total = static_cast<double>(values.size() - taken.size());
    const double drawn = choices_.uniform() * total;
    double below = 0;
    size_t last = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      if (taken.contains(i)) continue;
      last = i;
      below += all_equal ? 1 : values[i].weight;
      if (drawn < below) break;
    }
    return last;
  }

  static Error variables() {
    return {ErrorCode::kUnsupported,
            "the prompt has a variable of Dynamic Prompts (\"${\"), which is not supported; write "
            "what it stands for, or \\{ for a brace"};
  }
  static Error too_much(const std::string& what) {
    return {ErrorCode::kInvalidArgument,
            fmt::format("the prompt with its wildcards {}; make it smaller", what)};
  }

  /// Marks a wildcard as being expanded.
  class Entered {
   public:
    Entered(Expander& expander, std::string_view name) : expander_(expander) {
      expander_.inside_.emplace_back(name);
    }
    ~Entered() { expander_.inside_.pop_back(); }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

   private:
    Expander& expander_;
  };

  const DynamicOptions& options_;
  WildcardFiles& files_;
  Choices choices_;
  std::string out_;
  std::vector<std::string> inside_;  ///< wildcards that are being expanded
  size_t depth_ = 0, made_ = 0, compared_ = 0;
};

}  // namespace

Result<std::string> expand_prompt(std::string_view prompt, const DynamicOptions& options,
                                  WildcardFiles& files) {
  return Expander(options, files).expand(prompt);
}

bool is_dynamic(std::string_view prompt) {
  const std::vector<size_t> closing = match_brackets(prompt);
  for (size_t at = 0; at < prompt.size(); ++at) {
    if (prompt[at] == '\\') {
      ++at;
    } else if ((prompt[at] == '{' && closing[at] != std::string_view::npos) ||
               !wildcard_at(prompt.substr(at)).empty()) {
      return true;
    }
  }
  return false;
}

}  // namespace safelight::text
