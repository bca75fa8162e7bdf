#include "diffusion/guidance/zero_star.h"

namespace safelight::diffusion {

Tensor zero_star_guided(const Tensor& uncond, const Tensor& cond, double scale) {
  constexpr double kEpsilon = 1e-8;  // diffusers'
  Tensor result = cond;
  const int64_t pictures = cond.shape.at(0), size = cond.size() / pictures;
  for (int64_t b = 0; b < pictures; ++b) {
    const float* u = uncond.begin() + b * size;
    const float* c = cond.begin() + b * size;
    double product = 0, square = kEpsilon;
    for (int64_t i = 0; i < size; ++i) {
      product += static_cast<double>(c[i]) * u[i];
      square += static_cast<double>(u[i]) * u[i];
    }
    const double factor = product / square;
    float* guided = result.begin() + b * size;
    for (int64_t i = 0; i < size; ++i) {
      const double base = factor * u[i];
      guided[i] = static_cast<float>(base + scale * (c[i] - base));
    }
  }
  return result;
}

}  // namespace safelight::diffusion
