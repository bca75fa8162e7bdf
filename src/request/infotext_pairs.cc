#include "request/infotext_pairs.h"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <optional>

#include "base/json.h"
#include "base/text.h"

namespace safelight::request {
namespace {

constexpr std::string_view kNegative = "Negative prompt:";
constexpr size_t kFewestParameters = 3;  // SD WebUI's rule: fewer are a line of the prompt

struct Heading {
  std::string_view text, key;
};
/// Lines of templates; sd-dynamic-prompts and SD.Next differ in the case of a word.
constexpr Heading kTemplates[] = {{"Template:", "Template"},
                                  {"Negative Template:", "Negative Template"},
                                  {"Negative template:", "Negative Template"}};

std::string unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    const auto parsed = parse_json(value);
    if (parsed && parsed->is_string()) return std::string(parsed->get_string());
  }
  return std::string(value);
}

/// Reads "key: value, key: value".
class LineReader {
 public:
  explicit LineReader(std::string_view line) : line_(line) {}

  InfotextPairs read() {
    InfotextPairs pairs;
    while (!line_.empty()) {
      const size_t colon = line_.find(':');
      if (colon == std::string_view::npos) break;
      // The key is what stands behind the last comma before the colon.
      const std::string_view before = line_.substr(0, colon);
      const size_t comma = before.rfind(',');
      const std::string_view key =
          trimmed(comma == std::string_view::npos ? before : before.substr(comma + 1));
      line_.remove_prefix(colon + 1);
      while (line_.starts_with(' ')) line_.remove_prefix(1);
      const size_t end = end_of_value();
      if (!key.empty()) pairs.emplace_back(key, unquoted(trimmed(line_.substr(0, end))));
      line_.remove_prefix(end);
      if (line_.starts_with(',')) line_.remove_prefix(1);
    }
    return pairs;
  }

 private:
  size_t end_of_value() {
    std::optional<size_t> end;
    if (line_.starts_with('"')) end = end_of_string(0);
    if (line_.starts_with('{') || line_.starts_with('[')) end = end_of_brackets();
    return end ? *end : std::min(line_.find(','), line_.size());
  }

  /// Behind the string that begins at `at`.
  std::optional<size_t> end_of_string(size_t at) const {
    for (++at; at < line_.size() && line_[at] != '"'; at += line_[at] == '\\' ? 2 : 1) {
    }
    return at < line_.size() ? std::optional(at + 1) : std::nullopt;
  }

  std::optional<size_t> end_of_brackets() {
    if (unbalanced_) return std::nullopt;
    size_t open = 0;
    for (size_t at = 0; at < line_.size();) {
      if (line_[at] == '"') {
        const auto end = end_of_string(at);
        if (!end) break;
        at = *end;
        continue;
      }
      if (line_[at] == '{' || line_[at] == '[') ++open;
      if (line_[at] == '}' || line_[at] == ']') --open;
      ++at;
      if (open == 0) return at;
    }
    unbalanced_ = true;  // looking for more of them could take quadratic time
    return std::nullopt;
  }

  std::string_view line_;
  bool unbalanced_ = false;
};

/// Where the line of parameters stands; `begin` behind the text where there is none.
struct ParameterLine {
  size_t begin, end;
  InfotextPairs pairs;
};

bool begins_template(std::string_view text) {
  return std::any_of(std::begin(kTemplates), std::end(kTemplates),
                     [&](const Heading& heading) { return text.starts_with(heading.text); });
}

/// The line from `begin` on, if it has enough parameters.
std::optional<ParameterLine> parameter_line(std::string_view text, size_t begin) {
  const size_t end = std::min(text.find('\n', begin), text.size());
  InfotextPairs pairs = LineReader(text.substr(begin, end - begin)).read();
  if (pairs.size() < kFewestParameters) return std::nullopt;
  return ParameterLine{begin, end, std::move(pairs)};
}

ParameterLine find_parameters(std::string_view text) {
  // sd-dynamic-prompts puts its templates behind them.
  const std::string_view steps = "Steps: ";
  const size_t line = text.rfind("\nSteps: ");
  if (line != std::string_view::npos || text.starts_with(steps)) {
    const size_t begin = line == std::string_view::npos ? 0 : line + 1;
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end < text.size() && begins_template(text.substr(end + 1))) {
      if (auto found = parameter_line(text, begin)) return *std::move(found);
    }
  }
  const size_t last = text.rfind('\n');
  if (auto found = parameter_line(text, last == std::string_view::npos ? 0 : last + 1))
    return *std::move(found);
  return {text.size(), text.size(), {}};
}

/// Sorts lines into prompt, negative prompt and templates: each begins with its heading.
class LineSorter {
 public:
  explicit LineSorter(InfotextParts& parts) : parts_(parts), into_(&parts.prompt) {}

  void add(std::string_view lines, bool has_parameters) {
    if (lines.empty()) return;
    while (true) {
      const size_t end = std::min(lines.find('\n'), lines.size());
      std::string_view line = lines.substr(0, end);
      if (line.starts_with(kNegative)) {
        begin(parts_.negative_prompt, line, kNegative.size());
      } else if (has_parameters) {
        begin_template(line);
      }
      if (!first_) *into_ += '\n';
      *into_ += line;
      first_ = false;
      if (end == lines.size()) return;
      lines.remove_prefix(end + 1);
    }
  }

  void finish() {
    for (size_t i = 0; i < templates_.size(); ++i) {
      if (!templates_[i].empty()) parts_.pairs.emplace_back(kTemplates[i].key, templates_[i]);
    }
  }

 private:
  void begin(std::string& text, std::string_view& line, size_t heading) {
    first_ = into_ != &text;
    first_ = first_ && text.empty();
    into_ = &text;
    line = trimmed(line.substr(heading));
  }

  void begin_template(std::string_view& line) {
    for (size_t i = 0; i < templates_.size(); ++i) {
      if (!line.starts_with(kTemplates[i].text)) continue;
      begin(templates_[i == 2 ? 1 : i], line, kTemplates[i].text.size());
      return;
    }
  }

  InfotextParts& parts_;
  std::string* into_;
  std::array<std::string, std::size(kTemplates)> templates_;
  bool first_ = true;
};

}  // namespace

InfotextParts split_infotext(std::string_view text) {
  const std::string_view body = trimmed(text);
  ParameterLine line = find_parameters(body);
  InfotextParts parts;
  const bool found = !line.pairs.empty();
  parts.pairs = std::move(line.pairs);
  LineSorter sorter(parts);
  sorter.add(body.substr(0, line.begin > 0 && found ? line.begin - 1 : line.begin), found);
  if (line.end < body.size()) sorter.add(body.substr(line.end + 1), found);
  sorter.finish();
  return parts;
}

std::string quoted_value(const std::string& value) {
  if (value.find_first_of(",:\n\"") == std::string::npos && trimmed(value).size() == value.size() &&
      value.find_first_of("[{") != 0)
    return value;
  return boost::json::serialize(boost::json::value(value));
}

const std::string* find_value(const InfotextPairs& pairs, std::string_view key) {
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair) {
    if (pair->first == key) return &pair->second;
  }
  return nullptr;
}

}  // namespace safelight::request
