#include "diffusion/guidance/projected.h"

#include <algorithm>
#include <cmath>

#include "diffusion/arithmetic.h"

namespace safelight::diffusion {
namespace {

double inner_product(const float* a, const float* b, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += static_cast<double>(a[i]) * b[i];
  return total;
}

}  // namespace

Tensor ProjectedGuidance::operator()(const Tensor& uncond, const Tensor& cond, double scale) {
  Tensor direction = sum({{1, cond}, {-1, uncond}});
  if (options_.momentum != 0) {
    if (!average_.data.empty()) direction = sum({{1, direction}, {options_.momentum, average_}});
    average_ = direction;
  }
  constexpr double kTiny = 1e-12;  // the least norm that is divided by
  Tensor result = cond;
  const int64_t pictures = cond.shape.at(0), size = cond.size() / pictures;
  for (int64_t b = 0; b < pictures; ++b) {
    const float* towards = direction.begin() + b * size;
    const float* seen = cond.begin() + b * size;
    double factor = 1;
    if (options_.threshold > 0) {
      const double norm = std::sqrt(inner_product(towards, towards, size));
      factor = std::min(1.0, options_.threshold / std::max(norm, kTiny));
    }
    const double length = std::max(std::sqrt(inner_product(seen, seen, size)), kTiny);
    const double along = factor * inner_product(towards, seen, size) / (length * length);
    float* guided = result.begin() + b * size;
    for (int64_t i = 0; i < size; ++i) {
      const double parallel = along * seen[i], orthogonal = factor * towards[i] - parallel;
      guided[i] =
          static_cast<float>(seen[i] + (scale - 1) * (orthogonal + options_.eta * parallel));
    }
  }
  return result;
}

}  // namespace safelight::diffusion
