#include "text/emphasis.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace safelight::text {

Result<Emphasis> find_emphasis(std::string_view name) {
  if (name == "original") return Emphasis::kOriginal;
  if (name == "no-norm") return Emphasis::kNoNorm;
  if (name == "ignore") return Emphasis::kIgnore;
  return Error{ErrorCode::kInvalidArgument,
               "emphasis '" + std::string(name) + "' is unknown; use original, no-norm or ignore"};
}

void emphasise(Tensor& encoded, std::span<const float> weights, Emphasis emphasis) {
  const bool plain =
      std::all_of(weights.begin(), weights.end(), [](float weight) { return weight == 1; });
  if (emphasis == Emphasis::kIgnore || plain) return;
  const int64_t size = encoded.size() / static_cast<int64_t>(weights.size());
  const double before = std::accumulate(encoded.begin(), encoded.end(), 0.0);
  float* value = encoded.begin();
  for (const float weight : weights) {
    for (int64_t i = 0; i < size; ++i) *value++ *= weight;
  }
  if (emphasis != Emphasis::kOriginal) return;
  const double after = std::accumulate(encoded.begin(), encoded.end(), 0.0);
  if (after == 0) return;
  const auto factor = static_cast<float>(before / after);
  for (float& each : encoded.data) each *= factor;
}

}  // namespace safelight::text
