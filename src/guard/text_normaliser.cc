#include "guard/text_normaliser.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "text/unicode.h"

namespace safelight::guard {
namespace {

struct CodeRange {
  char32_t first, last;
};
struct Folded {
  char32_t code;
  const char* plain;
};

#include "guard/folding_tables.inc"

bool is_hidden(char32_t code) {
  return std::any_of(std::begin(kHidden), std::end(kHidden), [&](const CodeRange& range) {
    return code >= range.first && code <= range.last;
  });
}

/// What the code point is folded to; null where it stays.
const char* folded_form(char32_t code) {
  const Folded* found = std::lower_bound(std::begin(kFolded), std::end(kFolded), code,
                                         [](const Folded& f, char32_t c) { return f.code < c; });
  return found != std::end(kFolded) && found->code == code ? found->plain : nullptr;
}

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

/// Letters, digits, the blanks of any script as one blank; lower case.
std::string fold_characters(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  const auto add_blank = [&] {
    if (!out.empty() && out.back() != ' ') out += ' ';
  };
  for (const char32_t code : text::to_lower(text::decode_utf8(utf8))) {
    if (code < 0x80) {
      if (code <= ' ' || code == 0x7F) {
        add_blank();
      } else {
        out += static_cast<char>(code);
      }
    } else if (is_hidden(code)) {
      continue;
    } else if (const char* plain = folded_form(code)) {
      for (; *plain; ++plain) {
        if (*plain == ' ') {
          add_blank();
        } else {
          out += *plain;
        }
      }
    } else if (text::classify(code) == text::CodeClass::kSpace) {
      add_blank();
    } else {
      text::append_utf8(out, code);
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// Where the run of single characters that begins at `start` ends, each set apart by the same sign;
/// `start` when there are fewer than three.
size_t end_of_spaced(std::string_view text, size_t start) {
  const auto plain_at = [&](size_t i) { return i < text.size() && is_plain(text[i]); };
  if (!plain_at(start) || (start > 0 && is_plain(text[start - 1]))) return start;
  if (start + 1 >= text.size()) return start;
  const char sign = text[start + 1];
  if (std::string_view(" .-_*").find(sign) == std::string_view::npos) return start;
  size_t last = start, count = 1;
  while (last + 1 < text.size() && text[last + 1] == sign && plain_at(last + 2) &&
         !plain_at(last + 3)) {
    last += 2;
    ++count;
  }
  return count >= 3 ? last + 1 : start;
}

std::string join_spaced(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t end = end_of_spaced(text, i);
    if (end == i) {
      out += text[i++];
      continue;
    }
    // "a n u d e girl": an "a" before letters apart is taken for the article.
    const size_t letters = (end - i) / 2 + 1;
    const bool article = text[i] == 'a' && text[i + 1] == ' ' && letters > 3;
    if (article) out += "a ";
    for (i += article ? 2 : 0; i < end; i += 2) out += text[i];
    i = end;
  }
  return out;
}

std::string cut_stretched(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (end < text.size() && text[end] == text[i]) ++end;
    out.append(is_letter(text[i]) && end - i >= 3 ? 1 : end - i, text[i]);
    i = end;
  }
  return out;
}

/// The letter that a sign or digit is drawn for; 0 for others.
char drawn_letter(char c) {
  switch (c) {
    case '0':
      return 'o';
    case '1':
    case '!':
    case '|':
      return 'i';
    case '3':
      return 'e';
    case '4':
    case '@':
      return 'a';
    case '5':
    case '$':
      return 's';
    case '7':
    case '+':
      return 't';
    default:
      return 0;
  }
}

/// Reads one word of leetspeak in place: digits between letters, "@" and "$" beside a letter, other
/// signs between letters. Whether anything was read.
bool read_word(std::string& word) {
  const auto first_letter = std::find_if(word.begin(), word.end(), is_letter);
  const auto last_letter = std::find_if(word.rbegin(), word.rend(), is_letter).base();
  if (first_letter == word.end()) return false;
  bool changed = false;
  for (auto c = word.begin(); c != word.end(); ++c) {
    const char letter = drawn_letter(*c);
    const bool inside = c > first_letter && c < last_letter;
    if (letter == 0 || (!inside && *c != '@' && *c != '$')) continue;
    *c = letter;
    changed = true;
  }
  return changed;
}

}  // namespace

std::string fold_text(std::string_view utf8) {
  return cut_stretched(join_spaced(fold_characters(utf8)));
}

std::vector<std::string_view> words_of(std::string_view folded) {
  std::vector<std::string_view> words;
  const auto in_word = [](char c) {
    return is_plain(c) || c == '\'' || static_cast<uint8_t>(c) >= 0x80;
  };
  for (size_t i = 0; i < folded.size();) {
    size_t end = i;
    while (end < folded.size() && in_word(folded[end])) ++end;
    if (end == i && folded[i] == '?') ++end;
    if (end > i) words.push_back(folded.substr(i, end - i));
    i = std::max(end, i + 1);
  }
  return words;
}

std::optional<std::string> read_leetspeak(std::string_view folded) {
  std::string out;
  out.reserve(folded.size());
  bool changed = false;
  for (size_t i = 0; i <= folded.size();) {
    const size_t end = std::min(folded.find(' ', i), folded.size());
    std::string word(folded.substr(i, end - i));
    changed |= read_word(word);
    out += word;
    if (end < folded.size()) out += ' ';
    i = end + 1;
  }
  if (!changed) return std::nullopt;
  return cut_stretched(out);
}

}  // namespace safelight::guard
