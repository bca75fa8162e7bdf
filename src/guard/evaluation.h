#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guard/taxonomy.h"

namespace safelight::guard {

/// One row of a labelled data set.
struct LabelledText {
  std::string text, source;  ///< source: "" where the row names none
  bool unsafe = false;
  std::array<std::optional<bool>, kHazards> hazards{};  ///< nothing: not judged
};

/// Reads one line of JSON: `text`, `unsafe`, `categories` (hazard codes; without any, an unsafe row
/// is not judged by hazard), `unknown` (hazard codes, or letters of OpenAI's 2022 set, that were
/// not judged) and `source`; all but the first two may be absent. Errors: kInvalidArgument naming
/// the field.
Result<LabelledText> read_labelled_text(std::string_view line);

/// A score and what it should have said.
struct ScoredLabel {
  float score = 0;
  bool positive = false;
};

/// A value and where 95 % of the resampled ones lie.
struct Estimate {
  double value = 0, low = 0, high = 0;
};

/// How well scores tell positives from negatives. Values that are not defined (precision without a
/// hit, AUPRC without a positive) are NaN.
struct Evaluation {
  size_t positives = 0, negatives = 0;
  double threshold = 0;
  Estimate precision, recall, f1, false_positive_rate;  ///< at score >= threshold
  Estimate average_precision;                           ///< AUPRC, as scikit-learn has it
  Estimate roc_area;                                    ///< AUROC
  double calibration_error = 0;                         ///< over ten equal bins

  struct Point {
    double x = 0, y = 0;
  };
  std::vector<Point> roc;               ///< false positive rate, recall; from (0, 0) to (1, 1)
  std::vector<Point> precision_recall;  ///< recall, precision; by falling threshold
  struct Bin {
    size_t rows = 0;
    double mean_score = 0, share_positive = 0;
  };
  std::array<Bin, 10> bins;
};

/// Errors: none; `rows` may be empty. `resamples` bootstrap draws, the same for the same rows.
/// O(n log n + resamples n).
Evaluation evaluate(std::vector<ScoredLabel> rows, double threshold, size_t resamples);

}  // namespace safelight::guard
