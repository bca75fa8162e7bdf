#include "guard/text_cascade.h"

#include <algorithm>
#include <string>

#include "guard/text_normaliser.h"

namespace safelight::guard {

Result<TextCascade> TextCascade::open(const std::filesystem::path& folder,
                                      const std::filesystem::path& own_lists) {
  Result<TextClassifier> classifier = TextClassifier::open(folder / "guard-text.safetensors");
  if (!classifier) return classifier.error();
  Blocklist blocklist;
  if (Status added = blocklist.add_folder(folder / "words", Blocklist::Owner::kShipped); !added)
    return added.error();
  if (!own_lists.empty()) {
    if (Status added = blocklist.add_folder(own_lists, Blocklist::Owner::kOperator); !added)
      return added.error();
  }
  return TextCascade(std::move(*classifier), std::move(blocklist));
}

TextScores TextCascade::classify(std::string_view folded) const {
  const std::vector<std::string_view> words = words_of(folded);
  if (words.size() <= kWindowWords) return classifier_.classify(folded);
  TextScores scores;
  for (size_t first = 0;; first += kWindowWords / 2) {
    const size_t last = std::min(first + kWindowWords, words.size()) - 1;
    const char* end = words[last].data() + words[last].size();
    scores.raise_to(classifier_.classify({words[first].data(), end}));
    if (last + 1 == words.size()) return scores;
  }
}

TextFindings TextCascade::judge(std::string_view utf8) const {
  const std::string folded = fold_text(utf8);
  TextFindings findings{.scores = classify(folded), .matches = blocklist_.find(folded)};
  if (const auto plain = read_leetspeak(folded)) findings.scores.raise_to(classify(*plain));
  return findings;
}

}  // namespace safelight::guard
