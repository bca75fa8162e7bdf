#pragma once

#include <initializer_list>

#include "base/tensor.h"

namespace safelight::diffusion {

/// A tensor times a number, in a sum.
struct Term {
  double factor;
  const Tensor& tensor;
};

/// The sum of the terms, element by element; all of one shape. Added up in double, rounded once.
inline Tensor sum(std::initializer_list<Term> terms) {
  Tensor result(terms.begin()->tensor.shape);
  std::vector<double> total(result.data.size(), 0.0);
  for (const auto& [factor, tensor] : terms) {
    for (size_t i = 0; i < total.size(); ++i) total[i] += factor * tensor.data[i];
  }
  for (size_t i = 0; i < total.size(); ++i) result.data[i] = static_cast<float>(total[i]);
  return result;
}

inline Tensor scaled(const Tensor& x, double factor) { return sum({{factor, x}}); }

/// The derivative of x over sigma (Karras et al. 2022), were the picture behind x `denoised`.
inline Tensor slope(const Tensor& x, const Tensor& denoised, double sigma) {
  return sum({{1 / sigma, x}, {-1 / sigma, denoised}});
}

}  // namespace safelight::diffusion
