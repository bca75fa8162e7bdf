#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/result.h"
#include "guard/taxonomy.h"
#include "weights/tensor_index.h"

namespace safelight::guard {

/// Calibrated probabilities of one text.
struct TextScores {
  float unsafe = 0;  ///< of any hazard; trained apart, not the highest of these
  std::array<float, kHazards> hazards{};  ///< S1 to S14

  /// For each the higher of the two.
  void raise_to(const TextScores& other);
};

/// The shipped classifier of words: fifteen logistic regressions over hashed words and pieces of
/// words, word vectors multiplied out, rough language and the text's form (docs/guard.md). English;
/// what it is weak at stands there too. Immutable, for any number of threads.
class TextClassifier {
 public:
  /// Maps and checks `file` (models/guard-text/guard-text.safetensors). Errors: those of
  /// open_safetensors; kCorruptFile naming the tensor whose shape, type or values are wrong.
  static Result<TextClassifier> open(const std::filesystem::path& file);
  /// The same for an index that was read elsewhere.
  static Result<TextClassifier> from(weights::TensorIndex index);

  /// Of a folded text (fold_text), all of it at once. O(length).
  TextScores classify(std::string_view folded) const;

  /// The value of `unsafe` from which on at most 5 % of the safe texts of each measured set lie.
  float threshold() const { return threshold_; }

 private:
  static constexpr size_t kLabels = kHazards + 1;
  using Row = std::array<double, kLabels>;

  TextClassifier() = default;
  Status bind();
  std::span<const int8_t> word_row(std::string_view word) const;
  float harsh_weight(std::string_view word) const;

  weights::TensorIndex index_;  ///< keeps the file mapped
  std::span<const int8_t> grams_, words_;
  std::vector<uint32_t> word_keys_, harsh_keys_;
  std::vector<float> harsh_, dense_, calibration_;
  std::array<float, kLabels> gram_scale_{}, word_scale_{}, offset_{};
  float threshold_ = 1;
};

}  // namespace safelight::guard
