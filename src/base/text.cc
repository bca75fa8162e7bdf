#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace safelight {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<uint8_t>(text[i]);
    const size_t more = first < 0x80 ? 0 : first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || i + more >= text.size()) return i;
    for (size_t j = 1; j <= more; ++j) {
      if ((static_cast<uint8_t>(text[i + j]) & 0xC0) != 0x80) return i;
    }
    const auto second = more > 0 ? static_cast<uint8_t>(text[i + 1]) : uint8_t{0};
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
    if (overlong || beyond) return i;
    i += more + 1;
  }
  return std::string_view::npos;
}

std::string_view utf8_prefix(std::string_view utf8, size_t bytes) {
  if (utf8.size() <= bytes) return utf8;
  while (bytes > 0 && (static_cast<uint8_t>(utf8[bytes]) & 0xC0) == 0x80) --bytes;
  return utf8.substr(0, bytes);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  constexpr std::string_view kPowers = "kmgt";
  const std::string lower = ascii_lower(trimmed(text));
  double value = 0;
  const auto [end, failure] = std::from_chars(lower.data(), lower.data() + lower.size(), value);
  if (failure != std::errc() || !std::isfinite(value)) return std::nullopt;
  std::string_view unit = trimmed({end, static_cast<size_t>(lower.data() + lower.size() - end)});
  if (!unit.empty() && kPowers.find(unit[0]) != std::string_view::npos) {
    value *= std::pow(1024.0, static_cast<double>(kPowers.find(unit[0]) + 1));
    unit.remove_prefix(1);
    if (unit.starts_with('i')) unit.remove_prefix(1);
  }
  if (!unit.empty() && unit != "b") return std::nullopt;
  if (!(value >= 1 && value < 0x1p62)) return std::nullopt;
  return static_cast<uint64_t>(value);
}

std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates) {
  const std::string wanted = ascii_lower(name);
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, wanted.size() / 2) + 1;
  for (std::string_view candidate : candidates) {
    const std::string other = ascii_lower(candidate);
    // A beginning is as near as one slip.
    const size_t distance =
        wanted.size() > 1 && other.starts_with(wanted) ? 1 : edit_distance(wanted, other);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace safelight
