#include "text/emphasis.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace safelight::text {
namespace {

bool are_plain(std::span<const float> weights) {
  return std::all_of(weights.begin(), weights.end(), [](float weight) { return weight == 1; });
}

}  // namespace

Result<Emphasis> find_emphasis(std::string_view name) {
  if (name == "original") return Emphasis::kOriginal;
  if (name == "no-norm") return Emphasis::kNoNorm;
  if (name == "ignore") return Emphasis::kIgnore;
  if (name == "comfyui") return Emphasis::kComfyui;
  return Error{
      ErrorCode::kInvalidArgument,
      "emphasis '" + std::string(name) + "' is unknown; use original, no-norm, ignore or comfyui"};
}

bool needs_empty(std::span<const float> weights, Emphasis emphasis) {
  return emphasis == Emphasis::kComfyui && !are_plain(weights);
}

void emphasise(Tensor& encoded, std::span<const float> weights, Emphasis emphasis,
               const Tensor& empty) {
  if (emphasis == Emphasis::kIgnore || are_plain(weights)) return;
  const int64_t size = encoded.size() / static_cast<int64_t>(weights.size());
  if (emphasis == Emphasis::kComfyui) {
    float* away = encoded.begin();
    const float* from = empty.begin();
    for (const float weight : weights) {
      for (int64_t i = 0; i < size; ++i, ++away, ++from) {
        if (weight != 1) *away = (*away - *from) * weight + *from;
      }
    }
    return;
  }
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
