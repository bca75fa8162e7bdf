#include "text/styles.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "text/unicode.h"

namespace safelight::text {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

constexpr std::string_view kPlaceholder = "{prompt}";
constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;
constexpr size_t kMaxStyles = 100'000, kMaxFiles = 100'000;
constexpr size_t kMaxPrompt = size_t{1} << 20;
constexpr int kMaxDepth = 16;  // of folders in each other

using Row = std::vector<std::string>;

/// Rows of CSV as Python's csv module reads them with skipinitialspace: a quote opens a field that
/// begins with it; "" is a quote in there; blanks after a comma do not count; empty rows are none.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  std::optional<Row> next() {
    while (at_ < text_.size()) {
      Row row = read_row();
      if (row.size() > 1 || !row[0].empty() || quoted_) return row;
    }
    return std::nullopt;
  }

 private:
  bool at_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }

  Row read_row() {
    Row row;
    quoted_ = false;
    while (true) {
      row.push_back(read_field());
      if (at_ >= text_.size()) return row;
      if (at_line_end()) {
        if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
        ++at_;
        return row;
      }
      ++at_;  // a comma
    }
  }

  std::string read_field() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    std::string field;
    bool in_quotes = at_ < text_.size() && text_[at_] == '"';
    if (in_quotes) ++at_;
    quoted_ = quoted_ || in_quotes;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (in_quotes && c == '"') {
        const bool twice = at_ + 1 < text_.size() && text_[at_ + 1] == '"';
        if (twice) {
          field += '"';
          ++at_;
        } else {
          in_quotes = false;
        }
      } else if (!in_quotes && (c == ',' || at_line_end())) {
        break;
      } else {
        field += c;
      }
    }
    return field;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool quoted_ = false;  ///< some field of the row was: a row of "" is no empty row
};

std::optional<size_t> column(const Row& header, std::string_view name) {
  const auto found = std::find(header.begin(), header.end(), name);
  return found == header.end() ? std::nullopt
                               : std::optional(static_cast<size_t>(found - header.begin()));
}

std::string cell(const Row& row, std::optional<size_t> column) {
  return column && *column < row.size() ? row[*column] : "";
}

std::string_view stripped(std::string_view text) {
  const CodePoints codes = decode_utf8(text);
  size_t begin = 0, end = codes.size();
  while (begin < end && is_space(codes[begin])) ++begin;
  while (end > begin && is_space(codes[end - 1])) --end;
  const auto bytes = [&](size_t from, size_t to) {
    std::string utf8;
    for (size_t i = from; i < to; ++i) append_utf8(utf8, codes[i]);
    return utf8.size();
  };
  const size_t front = bytes(0, begin), back = bytes(end, codes.size());
  return text.substr(front, text.size() - front - back);
}

Status check_utf8(std::string_view text, const fs::path& file) {
  const size_t bad = find_invalid_utf8(text);
  if (bad == std::string::npos) return {};
  return Error{
      ErrorCode::kInvalidArgument,
      fmt::format("{}: is not UTF-8 at byte {}; save the styles as UTF-8", file.string(), bad)};
}

std::string_view without_bom(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

/// At most so many bytes merge_style() gives.
size_t merged_size(std::string_view style, const std::string& prompt) {
  size_t size = style.size() + prompt.size() + 2;
  for (size_t at = style.find(kPlaceholder); at != std::string_view::npos;
       at = style.find(kPlaceholder, at + 1))
    size += prompt.size();
  return size;
}

}  // namespace

Result<std::vector<Style>> read_styles_csv(std::string_view text, const fs::path& file) {
  if (Status good = check_utf8(text, file); !good) return good.error();
  CsvReader reader(without_bom(text));
  const std::optional<Row> header = reader.next();
  if (!header) return std::vector<Style>();
  const auto name = column(*header, "name"), negative = column(*header, "negative_prompt");
  auto prompt = column(*header, "prompt");
  if (!prompt) prompt = column(*header, "text");
  if (!name || !prompt) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: has no columns 'name' and 'prompt'; its first line should be "
                             "name,prompt,negative_prompt",
                             file.string())};
  }
  std::vector<Style> styles;
  while (const std::optional<Row> row = reader.next()) {
    std::string called = cell(*row, name);
    if (called.starts_with('#')) continue;
    if (styles.size() >= kMaxStyles) break;
    styles.push_back({std::move(called), cell(*row, prompt), cell(*row, negative), file});
  }
  return styles;
}

Result<std::vector<Style>> read_styles_json(std::string_view text, const fs::path& file,
                                            const std::string& folder) {
  const Result<json::value> parsed = parse_json(without_bom(text));
  if (!parsed) return parsed.error().in(file.string());
  json::array entries;
  if (parsed->is_array()) {
    entries = parsed->get_array();
  } else {
    entries.push_back(*parsed);
  }
  std::vector<Style> styles;
  for (const json::value& entry : entries) {
    const json::value* name = entry.is_object() ? entry.get_object().if_contains("name") : nullptr;
    if (name == nullptr || !name->is_string() || styles.size() >= kMaxStyles) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: a style is a JSON object with \"name\", \"prompt\" and "
                               "\"negative\"",
                               file.string())};
    }
    const auto text_of = [&](std::string_view key) {
      const json::value* value = entry.get_object().if_contains(key);
      return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                    : std::string();
    };
    std::string called(trimmed(std::string_view(name->get_string())));
    if (!folder.empty()) called = fmt::format("{}/{}", folder, called);
    styles.push_back({std::move(called), text_of("prompt"), text_of("negative"), file});
  }
  return styles;
}

std::string merge_style(std::string_view style, const std::string& prompt) {
  std::string merged;
  if (style.find(kPlaceholder) != std::string_view::npos) {
    for (size_t at = style.find(kPlaceholder); at != std::string_view::npos;
         at = style.find(kPlaceholder)) {
      merged += style.substr(0, at);
      merged += prompt;
      style.remove_prefix(at + kPlaceholder.size());
    }
    return merged += style;
  }
  merged = stripped(prompt);
  style = stripped(style);
  if (!merged.empty() && !style.empty()) merged += ", ";
  return merged += style;
}

void StyleLibrary::take(Result<std::vector<Style>> styles) {
  if (!styles) {
    problems_.push_back(styles.error().message);
    return;
  }
  std::map<std::string, size_t> places;  // of this file's
  for (Style& style : *styles) {
    if (const auto place = places.find(style.name); place != places.end()) {
      styles_[place->second] = std::move(style);
    } else if (names_.insert(style.name).second) {
      places.emplace(style.name, styles_.size());
      styles_.push_back(std::move(style));
    }
  }
}

void StyleLibrary::read_file_at(const fs::path& path, const std::string& folder) {
  const auto text = read_file(path, kMaxFileBytes);
  if (!text) {
    problems_.push_back(text.error().message);
  } else if (ascii_lower(path.extension().string()) == ".json") {
    take(read_styles_json(*text, path, folder));
  } else {
    take(read_styles_csv(*text, path));
  }
}

void StyleLibrary::read_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied,
                                         failure);
  for (; !failure && entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
    if (entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
    const std::string ending = ascii_lower(entry->path().extension().string());
    std::error_code ignored;
    if ((ending == ".json" || ending == ".csv") && entry->is_regular_file(ignored) &&
        files.size() < kMaxFiles)
      files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files)
    read_file_at(file, file.parent_path().lexically_relative(folder).generic_string() == "."
                           ? ""
                           : file.parent_path().lexically_relative(folder).generic_string());
}

StyleLibrary StyleLibrary::read(const std::vector<fs::path>& paths) {
  StyleLibrary library;
  for (const fs::path& path : paths) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      library.read_folder(path);
    } else if (fs::exists(path, ignored)) {
      library.read_file_at(path, "");
    }
  }
  return library;
}

const Style* StyleLibrary::find(std::string_view name) const {
  const std::string lower = ascii_lower(name);
  const Style* found = nullptr;
  for (const Style& style : styles_) {
    if (style.name == name) return &style;
    if (found == nullptr && ascii_lower(style.name) == lower) found = &style;
  }
  return found;
}

Status StyleLibrary::apply(const std::vector<std::string>& names, bool ignores_unknown,
                           std::string& prompt, std::string& negative_prompt) const {
  for (const std::string& name : names) {
    const Style* style = find(name);
    if (style == nullptr) {
      if (ignores_unknown) continue;
      std::vector<std::string_view> known;
      for (const Style& each : styles_) known.push_back(each.name);
      const std::string_view near = nearest_name(name, known);
      return Error{ErrorCode::kNotFound,
                   fmt::format("there is no style '{}'{}", utf8_prefix(name, 80),
                               !near.empty()   ? fmt::format("; did you mean '{}'?", near)
                               : known.empty() ? "; there are none, see docs/prompts.md"
                                               : "")};
    }
    const size_t size = std::max(merged_size(style->prompt, prompt),
                                 merged_size(style->negative_prompt, negative_prompt));
    if (size > kMaxPrompt) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("the prompt with style '{}' has about {} bytes; at most {} are read",
                               name, size, kMaxPrompt)};
    }
    prompt = merge_style(style->prompt, prompt);
    negative_prompt = merge_style(style->negative_prompt, negative_prompt);
  }
  return {};
}

}  // namespace safelight::text
