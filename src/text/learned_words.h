#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/tensor.h"

namespace safelight::text {

/// A word that textual inversion taught (Gal et al. 2022): vectors in place of its tokens.
struct LearnedWord {
  std::string name;
  std::string hash;             ///< SHA-256 of what the vectors were read from; tells words apart
  std::vector<Tensor> vectors;  ///< of each text encoder: [count, width of the encoder]

  /// How many tokens it takes.
  size_t count() const { return vectors.empty() ? 0 : static_cast<size_t>(vectors[0].shape[0]); }
};

/// Where a learned word begins in a chunk; its tokens there stand for nothing.
struct LearnedVectors {
  size_t position = 0;
  std::shared_ptr<const LearnedWord> word;
};

/// The learned words of a model, found in prompts as SD WebUI does: where the tokens of a name
/// stand (modules/textual_inversion, find_embedding_at_position), and as ComfyUI does: where
/// "embedding:" and the name stand.
class Vocabulary {
 public:
  /// Of two words with the same tokens the first counts. A name without tokens is never found.
  void add(const std::shared_ptr<const LearnedWord>& word);

  struct Match {
    std::shared_ptr<const LearnedWord> word;  ///< null for none
    size_t tokens = 0;                        ///< that its name takes
  };
  /// The word with the longest name at the front of `tokens`. Its work is bounded by that name.
  Match find(std::span<const int32_t> tokens) const;

  bool empty() const { return words_.size() == 1; }

 private:
  void add_name(std::string_view name, const std::shared_ptr<const LearnedWord>& word);

  // A tree of names by their tokens: words_[n] is the word that ends in node n, if any.
  std::vector<std::shared_ptr<const LearnedWord>> words_{nullptr};
  std::map<std::pair<size_t, int32_t>, size_t> next_;
};

/// Letters and digits of a text in lower case, as a quick test: a prompt that has a learned word
/// contains the word's name in this form.
std::string squeezed(std::string_view text);

}  // namespace safelight::text
