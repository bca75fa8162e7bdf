#include "text/unicode.h"

#include <algorithm>
#include <cstdint>

#include "base/text.h"

namespace safelight::text {
namespace {

struct CodeRange {
  char32_t first, last;
};
struct LowerRange {
  char32_t first, last;
  int32_t stride, delta;
};
struct LowerPair {
  char32_t code, first, second;
};
struct CombiningRange {
  char32_t first, last;
  uint8_t combining_class;
};
struct Decomposition {
  char32_t code, first, second, third, fourth;  ///< 0 behind the last
};
struct Composition {
  char32_t first, second, result;
};

#include "text/unicode_tables.inc"

// Hangul syllables are composed by arithmetic (Unicode Standard, section 3.12).
constexpr char32_t kHangul = 0xAC00, kLeading = 0x1100, kVowel = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kLeadings = 19, kVowels = 21, kTrailings = 28;

/// The range that holds the code point, in a table sorted by `first`; null where none does.
template <class Range, size_t N>
const Range* find_range(const Range (&table)[N], char32_t code) {
  const Range* after =
      std::upper_bound(std::begin(table), std::end(table), code,
                       [](char32_t c, const Range& range) { return c < range.first; });
  if (after == std::begin(table)) return nullptr;
  const Range* found = after - 1;
  return code <= found->last ? found : nullptr;
}

uint8_t combining_class(char32_t code) {
  if (code < 0x300) return 0;
  const CombiningRange* found = find_range(kCombining, code);
  return found ? found->combining_class : 0;
}

void append_decomposed(CodePoints& out, char32_t code) {
  if (code < 0xC0) {
    out += code;
    return;
  }
  if (code >= kHangul && code < kHangul + kLeadings * kVowels * kTrailings) {
    const char32_t index = code - kHangul;
    out += static_cast<char32_t>(kLeading + index / (kVowels * kTrailings));
    out += static_cast<char32_t>(kVowel + index / kTrailings % kVowels);
    if (index % kTrailings) out += static_cast<char32_t>(kTrailing + index % kTrailings);
    return;
  }
  const Decomposition* found =
      std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), code,
                       [](const Decomposition& d, char32_t c) { return d.code < c; });
  if (found == std::end(kDecompositions) || found->code != code) {
    out += code;
    return;
  }
  for (const char32_t part : {found->first, found->second, found->third, found->fourth}) {
    if (part) out += part;
  }
}

/// The one code point for a pair; 0 where there is none.
char32_t compose(char32_t first, char32_t second) {
  if (first >= kLeading && first < kLeading + kLeadings && second >= kVowel &&
      second < kVowel + kVowels) {
    return kHangul + ((first - kLeading) * kVowels + (second - kVowel)) * kTrailings;
  }
  const bool open_syllable = first >= kHangul &&
                             first < kHangul + kLeadings * kVowels * kTrailings &&
                             (first - kHangul) % kTrailings == 0;
  if (open_syllable && second > kTrailing && second < kTrailing + kTrailings)
    return first + (second - kTrailing);
  const Composition* found = std::lower_bound(
      std::begin(kCompositions), std::end(kCompositions), std::pair(first, second),
      [](const Composition& c, const auto& pair) { return std::pair(c.first, c.second) < pair; });
  const bool there =
      found != std::end(kCompositions) && found->first == first && found->second == second;
  return there ? found->result : 0;
}

/// Sorts runs of combining marks by their class.
void reorder_marks(CodePoints& text) {
  for (size_t i = 0; i < text.size();) {
    if (combining_class(text[i]) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && combining_class(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(i),
                     text.begin() + static_cast<std::ptrdiff_t>(end), [](char32_t a, char32_t b) {
                       return combining_class(a) < combining_class(b);
                     });
    i = end;
  }
}

/// The bytes at the front of what is not UTF-8 that one U+FFFD stands for.
size_t broken_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const int lead = byte(0), second = byte(1);
  const int lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const int highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (lead < 0xE0 || lead > 0xF4 || second < lowest || second > highest) return 1;
  return lead >= 0xF0 && (byte(2) & 0xC0) == 0x80 ? 3 : 2;
}

}  // namespace

CodePoints decode_utf8(std::string_view text) {
  CodePoints codes;
  codes.reserve(text.size());
  while (!text.empty()) {
    const std::string_view valid = text.substr(0, find_invalid_utf8(text));
    for (size_t i = 0; i < valid.size();) {
      const auto first = static_cast<uint8_t>(valid[i]);
      const size_t more = first < 0x80 ? 0 : first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
      char32_t code = more ? first & (0x3F >> more) : first;
      for (size_t j = 1; j <= more; ++j)
        code = code << 6 | (static_cast<uint8_t>(valid[i + j]) & 0x3F);
      codes += code;
      i += more + 1;
    }
    text.remove_prefix(valid.size());
    if (text.empty()) break;
    codes += U'\uFFFD';
    text.remove_prefix(broken_length(text));
  }
  return codes;
}

void append_utf8(std::string& out, char32_t code) {
  const auto add = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return add(code);
  if (code < 0x800) {
    add(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      add(0xE0 | code >> 12);
    } else {
      add(0xF0 | code >> 18);
      add(0x80 | (code >> 12 & 0x3F));
    }
    add(0x80 | (code >> 6 & 0x3F));
  }
  add(0x80 | (code & 0x3F));
}

CodePoints to_nfc(const CodePoints& text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; }))
    return text;  // composed already
  CodePoints parts;
  for (const char32_t code : text) append_decomposed(parts, code);
  reorder_marks(parts);
  CodePoints out;
  size_t starter = CodePoints::npos;  // in `out`: what a following mark may combine with
  int last_class = -1;                // of what stands behind the starter; -1 for nothing
  for (const char32_t code : parts) {
    const int its_class = combining_class(code);
    if (starter != CodePoints::npos && last_class < its_class) {
      if (const char32_t composed = compose(out[starter], code)) {
        out[starter] = composed;
        continue;
      }
    }
    if (its_class == 0) {
      starter = out.size();
      last_class = -1;
    } else {
      last_class = its_class;
    }
    out += code;
  }
  return out;
}

CodePoints to_lower(const CodePoints& text) {
  CodePoints lower;
  lower.reserve(text.size());
  for (const char32_t code : text) {
    const LowerRange* range = find_range(kLowerRanges, code);
    if (range && (code - range->first) % static_cast<char32_t>(range->stride) == 0) {
      lower += static_cast<char32_t>(static_cast<int64_t>(code) + range->delta);
      continue;
    }
    const auto pair = std::find_if(std::begin(kLowerPairs), std::end(kLowerPairs),
                                   [&](const LowerPair& each) { return each.code == code; });
    if (pair != std::end(kLowerPairs)) {
      lower += pair->first;
      lower += pair->second;
    } else {
      lower += code;
    }
  }
  return lower;
}

CodeClass classify(char32_t code) {
  if (find_range(kLetters, code)) return CodeClass::kLetter;
  if (find_range(kNumbers, code)) return CodeClass::kNumber;
  return find_range(kSpaces, code) ? CodeClass::kSpace : CodeClass::kOther;
}

bool is_space(char32_t code) {
  return classify(code) == CodeClass::kSpace || (code >= 0x1C && code <= 0x1F);
}

bool is_word(char32_t code) {
  const CodeClass its_class = classify(code);
  return its_class == CodeClass::kLetter || its_class == CodeClass::kNumber || code == U'_';
}

int decimal_digit(char32_t code) {
  const CodeRange* range = find_range(kDecimals, code);
  return range ? static_cast<int>((code - range->first) % 10) : -1;
}

}  // namespace safelight::text
