#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safelight::text {

/// Unicode as the `tokenizers` package has it (tools/text/make_unicode_tables.py). Text is decoded
/// to code points.
using CodePoints = std::u32string;

/// UTF-8 to code points. What is not UTF-8 becomes U+FFFD: one for each beginning of a character
/// that breaks off, and for each other byte (Unicode Standard, section 3.9; as in Python and Rust).
CodePoints decode_utf8(std::string_view text);
void append_utf8(std::string& out, char32_t code);

/// Canonical composition (Unicode Standard Annex 15, form C).
CodePoints to_nfc(const CodePoints& text);
/// Lower case, character by character, as Rust's char::to_lowercase.
CodePoints to_lower(const CodePoints& text);

enum class CodeClass { kLetter, kNumber, kSpace, kOther };
CodeClass classify(char32_t code);

/// White space and parts of words as Python's `re` has them (\s, \w), in which SD WebUI's prompt
/// language is written.
bool is_space(char32_t code);
bool is_word(char32_t code);

/// The value of a decimal digit of any script; -1 for other characters.
int decimal_digit(char32_t code);

}  // namespace safelight::text
