#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "guard/blocklist.h"
#include "guard/text_classifier.h"

namespace safelight::guard {

/// What stages 0 and 1 find in one text.
struct TextFindings {
  TextScores scores;
  std::vector<BlocklistMatch> matches;

  /// Whether the classifier's threshold is reached, or a phrase is found that decides alone.
  bool unsafe(float threshold) const {
    return scores.unsafe >= threshold ||
           std::any_of(matches.begin(), matches.end(),
                       [](const BlocklistMatch& match) { return match.decides; });
  }
};

/// The part of the guard that ships with the program: normaliser, word lists, classifier. It
/// judges; it decides nothing. For any number of threads.
class TextCascade {
 public:
  /// Longer texts are judged in windows of so many words that overlap by half; each score is the
  /// highest of the windows.
  static constexpr size_t kWindowWords = 400;

  TextCascade(TextClassifier classifier, Blocklist blocklist)
      : classifier_(std::move(classifier)), blocklist_(std::move(blocklist)) {}

  /// From `folder` (models/guard-text): guard-text.safetensors and the lists in words/, and every
  /// list in `own_lists` unless that is empty. Errors: those of TextClassifier::open and
  /// Blocklist::add_folder.
  static Result<TextCascade> open(const std::filesystem::path& folder,
                                  const std::filesystem::path& own_lists = {});

  /// Any text; what is not UTF-8 counts as U+FFFD. O(length).
  TextFindings judge(std::string_view utf8) const;

  float threshold() const { return classifier_.threshold(); }

 private:
  TextScores classify(std::string_view folded) const;

  TextClassifier classifier_;
  Blocklist blocklist_;
};

}  // namespace safelight::guard
