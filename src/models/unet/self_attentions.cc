#include "models/unet/self_attentions.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <set>
#include <string>

#include "base/text.h"

namespace safelight::models::unet {
namespace {

/// A part of the network: its names and its first self-attention.
struct PartOfNetwork {
  std::string_view word, letter;
  int64_t first, count;
};

/// "3" or "2-5" as the first and the last number; false for other text.
bool parse_range(std::string_view text, int64_t& first, int64_t& last) {
  const char* const end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, first);
  if (parsed.ec != std::errc() || first < 0) return false;
  last = first;
  if (parsed.ptr == end) return true;
  if (*parsed.ptr != '-') return false;
  parsed = std::from_chars(parsed.ptr + 1, end, last);
  return parsed.ec == std::errc() && parsed.ptr == end && last >= first;
}

std::string range_text(const PartOfNetwork& part) {
  if (part.count == 0) return "";
  return part.count == 1 ? fmt::format(" {}0", part.letter)
                         : fmt::format(" {}0-{}", part.letter, part.count - 1);
}

}  // namespace

Result<std::vector<int64_t>> SelfAttentions::find(std::string_view names) const {
  const std::array parts = {PartOfNetwork{"down", "d", 0, down},
                            PartOfNetwork{"mid", "m", down, middle},
                            PartOfNetwork{"up", "u", down + middle, up}};
  const auto refused = [&](std::string_view what) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("'{}' names no self-attention of this network, which has{}{}{}; also "
                             "down, mid and up for all of a part",
                             utf8_prefix(what, 40), range_text(parts[0]), range_text(parts[1]),
                             range_text(parts[2]))};
  };
  std::set<int64_t> found;
  for (size_t at = 0; at < names.size();) {
    const size_t begin = names.find_first_not_of(" ,", at);
    if (begin == std::string_view::npos) break;
    at = std::min(names.find_first_of(" ,", begin), names.size());
    const std::string word = ascii_lower(names.substr(begin, at - begin));
    bool known = false;
    for (const PartOfNetwork& part : parts) {
      int64_t first = 0, last = part.count - 1;
      const bool whole = word == part.word || word == part.letter;
      if (!whole && !(word.starts_with(part.letter) &&
                      parse_range(std::string_view(word).substr(1), first, last)))
        continue;
      if (last >= part.count || part.count == 0) return refused(word);
      for (int64_t i = first; i <= last; ++i) found.insert(part.first + i);
      known = true;
    }
    if (!known) return refused(word);
  }
  if (found.empty()) return refused("");
  return std::vector<int64_t>(found.begin(), found.end());
}

}  // namespace safelight::models::unet
