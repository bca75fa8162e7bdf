#include "guard/blocklist.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <unordered_set>

#include "base/file.h"
#include "base/text.h"
#include "guard/text_normaliser.h"
#include "text/unicode.h"

namespace safelight::guard {
namespace {

/// The bytes that a phrase of a script without spaces is found by.
constexpr size_t kAnchor = 3;

/// Whether the phrase is of a script that sets no spaces between words: Thai, Japanese, Chinese.
bool is_unspaced(std::string_view folded) {
  const text::CodePoints codes = text::decode_utf8(folded);
  return std::any_of(codes.begin(), codes.end(), [](char32_t c) {
    return (c >= 0x0E00 && c <= 0x0E7F) || (c >= 0x3040 && c <= 0x30FF) ||
           (c >= 0x3400 && c <= 0x9FFF);
  });
}

std::string join(const std::vector<std::string_view>& words, size_t first, size_t count) {
  std::string joined(words[first]);
  for (size_t i = 1; i < count; ++i) joined.append(" ").append(words[first + i]);
  return joined;
}

/// Whether the sign at `i` stands inside a word, as in "f*ck".
bool is_starred(std::string_view folded, size_t i) {
  const auto letter = [&](size_t at) { return folded[at] >= 'a' && folded[at] <= 'z'; };
  return folded[i] == '*' && i > 0 && i + 1 < folded.size() && letter(i - 1) && letter(i + 1);
}

/// What a text with letters starred out may stand for: each sign as the same vowel.
std::vector<std::string> vowels_for_stars(std::string_view folded) {
  std::vector<size_t> stars;
  for (size_t i = folded.find('*'); i != std::string_view::npos; i = folded.find('*', i + 1)) {
    if (is_starred(folded, i)) stars.push_back(i);
  }
  if (stars.empty()) return {};
  std::vector<std::string> readings;
  for (const char vowel : std::string_view("aeiou")) {
    std::string& reading = readings.emplace_back(folded);
    for (const size_t star : stars) reading[star] = vowel;
  }
  return readings;
}

}  // namespace

Status Blocklist::add(std::string_view text, size_t hazard, const std::string& name, bool decides) {
  lists_.push_back(name);
  size_t number = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = trimmed(text.substr(start, end - start));
    start = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const auto fault = [&](std::string_view what) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("word list {}, line {}: {}", name, number, what)};
    };
    if (find_invalid_utf8(line) != std::string_view::npos) return fault("it is not UTF-8");
    if (phrases_.size() == kMaxPhrases)
      return fault(fmt::format("more than {} phrases in all lists", kMaxPhrases));
    const std::string folded = fold_text(line);
    const std::vector<std::string_view> words = words_of(folded);
    if (words.empty() || folded.size() < 2)
      return fault("the phrase has fewer than two characters once it is folded");
    if (words.size() > kMaxPhraseWords)
      return fault(fmt::format("the phrase has {} words; at most {} are looked for", words.size(),
                               kMaxPhraseWords));
    if (is_unspaced(folded) && folded.size() >= kAnchor) {
      anywhere_.emplace(folded.substr(0, kAnchor), std::pair(folded, phrases_.size()));
    } else {
      by_words_.emplace(join(words, 0, words.size()), phrases_.size());
      longest_ = std::max(longest_, words.size());
    }
    phrases_.push_back({std::string(line), hazard, lists_.size() - 1, decides});
  }
  return {};
}

Status Blocklist::add_file(const std::filesystem::path& file, Owner owner) {
  const std::string name = file.stem().string();
  const std::optional<size_t> hazard = find_hazard(name.substr(0, name.find('.')));
  if (!hazard) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: the name of a word list begins with its hazard, S1 to S14, as in "
                             "S12.en.txt",
                             file.string())};
  }
  const Result<std::string> text = read_file(file, kMaxFileBytes);
  if (!text) return text.error();
  constexpr size_t kChildren = 3;
  return add(*text, *hazard, name, owner == Owner::kOperator || *hazard == kChildren);
}

Status Blocklist::add_folder(const std::filesystem::path& folder, Owner owner) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".txt") files.push_back(entry->path());
  }
  if (error) {
    return Error{ErrorCode::kNotFound, fmt::format("cannot read the folder of word lists {}: {}",
                                                   folder.string(), error.message())};
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    if (Status added = add_file(file, owner); !added) return added;
  }
  return {};
}

BlocklistMatch Blocklist::match(const Phrase& phrase) const {
  return {.hazard = phrase.hazard,
          .list = lists_[phrase.list],
          .phrase = phrase.text,
          .decides = phrase.decides};
}

void Blocklist::find_words(const std::vector<std::string_view>& words,
                           std::vector<BlocklistMatch>& out) const {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "a" && i + 1 < words.size()) {  // "a n a l" is folded to "a nal"
      const auto [first, last] = by_words_.equal_range("a" + std::string(words[i + 1]));
      for (auto found = first; found != last; ++found)
        out.push_back(match(phrases_[found->second]));
    }
    std::string joined;
    for (size_t n = 0; n < longest_ && i + n < words.size(); ++n) {
      if (n > 0) joined += ' ';
      joined += words[i + n];
      const auto [first, last] = by_words_.equal_range(joined);
      for (auto found = first; found != last; ++found)
        out.push_back(match(phrases_[found->second]));
    }
  }
}

void Blocklist::find_anywhere(std::string_view folded, std::vector<BlocklistMatch>& out) const {
  if (anywhere_.empty()) return;
  for (size_t i = 0; i + kAnchor <= folded.size(); ++i) {
    if (static_cast<uint8_t>(folded[i]) < 0xC0) continue;
    const auto [first, last] = anywhere_.equal_range(std::string(folded.substr(i, kAnchor)));
    for (auto found = first; found != last; ++found) {
      const auto& [phrase, number] = found->second;
      if (folded.substr(i).starts_with(phrase)) out.push_back(match(phrases_[number]));
    }
  }
}

std::vector<BlocklistMatch> Blocklist::find(std::string_view folded) const {
  std::vector<BlocklistMatch> matches;
  find_words(words_of(folded), matches);
  find_anywhere(folded, matches);
  std::vector<std::string> readings = vowels_for_stars(folded);
  if (auto plain = read_leetspeak(folded)) readings.push_back(std::move(*plain));
  for (const std::string& reading : readings) find_words(words_of(reading), matches);
  if (readings.empty()) return matches;
  std::vector<BlocklistMatch> once;  // what stands undisguised was found in each reading
  std::unordered_set<std::string> seen;
  for (BlocklistMatch& found : matches) {
    if (seen.insert(found.list + '\n' + found.phrase).second) once.push_back(std::move(found));
  }
  return once;
}

}  // namespace safelight::guard
