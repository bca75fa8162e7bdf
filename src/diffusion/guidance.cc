#include "diffusion/guidance.h"

#include <cmath>

#include "diffusion/arithmetic.h"

namespace safelight::diffusion {
namespace {

/// Sample standard deviation (n - 1), as torch's std.
double deviation(const float* values, int64_t n) {
  double mean = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) mean += values[i] / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return std::sqrt(squares / static_cast<double>(n - 1));
}

}  // namespace

Tensor guided(const Tensor& uncond, const Tensor& cond, double scale) {
  return sum({{1 - scale, uncond}, {scale, cond}});
}

Tensor composed(const Tensor& uncond, const std::vector<WeightedOutput>& parts) {
  if (parts.size() == 1 && parts[0].weight == 1) return parts[0].output;
  double rest = 1;
  for (const WeightedOutput& part : parts) rest -= part.weight;
  Tensor result = uncond;
  for (size_t i = 0; i < result.data.size(); ++i) {
    double total = rest * uncond.data[i];
    for (const WeightedOutput& part : parts) total += part.weight * part.output.data[i];
    result.data[i] = static_cast<float>(total);
  }
  return result;
}

Tensor rescaled(const Tensor& guided, const Tensor& cond, double amount) {
  Tensor result = guided;
  const int64_t pictures = guided.shape.at(0), size = guided.size() / pictures;
  for (int64_t b = 0; b < pictures; ++b) {
    const double spread = deviation(guided.begin() + b * size, size);
    if (!(spread > 0)) continue;
    const double factor = amount * deviation(cond.begin() + b * size, size) / spread + (1 - amount);
    for (float* value = result.begin() + b * size; value < result.begin() + (b + 1) * size;
         ++value) {
      *value = static_cast<float>(*value * factor);
    }
  }
  return result;
}

bool guidance_acts(int64_t step, int64_t steps, double start, double end) {
  const double at = static_cast<double>(step) / static_cast<double>(steps);
  return at >= start && (end >= 1 || at < end);  // some samplers make more steps than asked for
}

}  // namespace safelight::diffusion
