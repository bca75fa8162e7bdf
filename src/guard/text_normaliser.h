#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safelight::guard {

/// Stage 0 of the guard: text as a reader sees it. Compatibility forms and look-alikes of Latin
/// letters (Cyrillic "е", full width, letters in boxes) become plain ones, all is lower case,
/// nothing hidden stays (zero-width characters, combining marks, bidirectional controls), white
/// space is one blank, letters set apart are joined ("n u d e", "n.u.d.e"), and three or more of
/// one Latin letter are one. What is not UTF-8 becomes U+FFFD. tools/guard/folding.py is its twin
/// for training.
std::string fold_text(std::string_view utf8);

/// The words of a folded text: runs of letters, digits and apostrophes, and each question mark.
/// The views are of `folded`.
std::vector<std::string_view> words_of(std::string_view folded);

/// The folded text with digits and signs that stand for letters read as those letters ("p0rn",
/// "$ex", "h!tler"; not "35mm", "1girl" or "mp3"); nothing where there are none.
std::optional<std::string> read_leetspeak(std::string_view folded);

}  // namespace safelight::guard
