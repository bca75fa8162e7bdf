#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

namespace safelight {

/// A dense row-major float32 tensor on the host, dimensions in reference order (images are [B, C,
/// H, W]). The currency between pipeline, samplers and engine; engines keep their own layouts
/// inside.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> data;

  Tensor() = default;
  /// Zeros of the given shape; every dimension is >= 0 and the product fits memory.
  explicit Tensor(std::vector<int64_t> dims)
      : shape(std::move(dims)), data(static_cast<size_t>(count(shape))) {}
  Tensor(std::vector<int64_t> dims, std::vector<float> values)
      : shape(std::move(dims)), data(std::move(values)) {}

  int64_t size() const { return static_cast<int64_t>(data.size()); }
  float* begin() { return data.data(); }
  float* end() { return data.data() + data.size(); }
  const float* begin() const { return data.data(); }
  const float* end() const { return data.data() + data.size(); }

  /// Product of the dimensions; 1 for a scalar.
  static int64_t count(const std::vector<int64_t>& dims) {
    return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  }
};

/// Normalised mean squared error of `got` against `want`: sum (got - want)^2 / sum want^2.
/// The measure of every numeric limit in this project. Infinity when shapes differ or a value is
/// not finite.
double nmse(const Tensor& got, const Tensor& want);

}  // namespace safelight
