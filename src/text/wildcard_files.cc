#include "text/wildcard_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/file.h"
#include "base/text.h"

namespace safelight::text {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;
constexpr size_t kMaxFiles = 100'000;  // in the folders of wildcards
constexpr int kMaxDepth = 16;          // of folders in each other
constexpr double kMaxWeight = 1e6;
constexpr size_t kMaxValues = 1'000'000;  // of one wildcard

Result<WildcardValues> read(const fs::path& path) {
  const auto text = read_file(path, kMaxFileBytes);
  if (!text) return text.error();
  if (const size_t bad = find_invalid_utf8(*text); bad != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: is not UTF-8 at byte {}; save the wildcard's file as UTF-8",
                             path.string(), bad)};
  }
  WildcardValues values = read_wildcard_lines(*text);
  if (!values.empty()) return values;
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{}: has no values; write one a line", path.string())};
}

}  // namespace

WildcardValue read_weighted(std::string_view text) {
  double weight = 1;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, weight, std::chars_format::fixed);
  const std::string_view tail(rest, static_cast<size_t>(end - rest));
  if (failure != std::errc() || !tail.starts_with("::") || !(weight >= 0) || weight > kMaxWeight)
    return {std::string(text), 1};
  return {std::string(tail.substr(2)), weight};
}

WildcardValues read_wildcard_lines(std::string_view text) {
  WildcardValues values;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    for (size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1)) {
      if (at > 0 && line[at - 1] != ' ' && line[at - 1] != '\t') continue;
      line = line.substr(0, at);
      break;
    }
    line = trimmed(line);
    if (!line.empty()) values.push_back(read_weighted(line));
  }
  return values;
}

bool matches_glob(std::string_view pattern, std::string_view name) {
  const std::string glob = ascii_lower(pattern), text = ascii_lower(name);
  size_t p = 0, t = 0, star = std::string::npos, behind_star = 0;
  while (t < text.size()) {
    if (p < glob.size() && glob[p] == '*') {
      star = p++;
      behind_star = t;
    } else if (p < glob.size() && (glob[p] == '?' || glob[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++behind_star;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', p) == std::string::npos;
}

void WildcardFiles::scan() {
  if (scanned_) return;
  scanned_ = true;
  for (const fs::path& folder : folders_) {
    std::error_code failure;
    fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied,
                                           failure);
    for (; !failure && entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
      if (entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
      std::error_code ignored;
      const fs::path& path = entry->path();
      if (ascii_lower(path.extension().string()) != ".txt" || !entry->is_regular_file(ignored))
        continue;
      if (files_.size() >= kMaxFiles) break;
      fs::path name = path.lexically_relative(folder);
      files_.push_back({name.replace_extension().generic_string(), path});
    }
  }
  std::stable_sort(files_.begin(), files_.end(),
                   [](const File& a, const File& b) { return a.name < b.name; });
  const auto same = [](const File& a, const File& b) { return a.name == b.name; };
  files_.erase(std::unique(files_.begin(), files_.end(), same), files_.end());
}

std::vector<std::string> WildcardFiles::names() {
  scan();
  std::vector<std::string> names;
  for (const File& file : files_) names.push_back(file.name);
  return names;
}

Result<WildcardValues> WildcardFiles::read_meant(std::string_view name) const {
  const bool is_glob = name.find_first_of("*?") != std::string_view::npos;
  std::vector<const File*> meant;
  const auto take = [&](const std::string& pattern) {
    for (const File& file : files_) {
      if (matches_glob(pattern, file.name)) meant.push_back(&file);
    }
  };
  take(std::string(name));
  if (meant.empty() && !is_glob) take("*/" + std::string(name));
  WildcardValues values;
  for (const File* file : meant) {
    auto more = read(file->path);
    if (!more) return more.error();
    std::move(more->begin(), more->end(), std::back_inserter(values));
    if (values.size() <= kMaxValues) continue;
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("wildcard __{}__ has more than {} values; split its files", name, kMaxValues)};
  }
  return values;
}

Result<std::shared_ptr<const WildcardValues>> WildcardFiles::values(std::string_view name) {
  scan();
  const auto known = known_.find(name);
  if (known != known_.end()) return known->second;
  auto values = read_meant(name);
  if (!values) return values.error();
  return known_[std::string(name)] = std::make_shared<const WildcardValues>(std::move(*values));
}

}  // namespace safelight::text
