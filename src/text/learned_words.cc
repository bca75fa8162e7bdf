#include "text/learned_words.h"

#include "text/clip_tokenizer.h"
#include "text/unicode.h"

namespace safelight::text {

void Vocabulary::add(const std::shared_ptr<const LearnedWord>& word) {
  if (word->name.empty()) return;
  add_name(word->name, word);
  add_name("embedding:" + word->name, word);
}

void Vocabulary::add_name(std::string_view name, const std::shared_ptr<const LearnedWord>& word) {
  const std::vector<int32_t> tokens = ClipTokenizer::instance().encode(name);
  if (tokens.empty()) return;
  size_t node = 0;
  for (const int32_t token : tokens) {
    const auto [entry, is_new] = next_.try_emplace({node, token}, words_.size());
    if (is_new) words_.emplace_back();
    node = entry->second;
  }
  if (!words_[node]) words_[node] = word;
}

Vocabulary::Match Vocabulary::find(std::span<const int32_t> tokens) const {
  Match longest;
  size_t node = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto entry = next_.find({node, tokens[i]});
    if (entry == next_.end()) break;
    node = entry->second;
    if (words_[node]) longest = {words_[node], i + 1};
  }
  return longest;
}

std::string squeezed(std::string_view text) {
  std::string result;
  for (const char32_t code : to_lower(to_nfc(decode_utf8(text)))) {
    const CodeClass its_class = classify(code);
    if (its_class == CodeClass::kLetter || its_class == CodeClass::kNumber)
      append_utf8(result, code);
  }
  return result;
}

}  // namespace safelight::text
