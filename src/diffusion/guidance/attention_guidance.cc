#include "diffusion/guidance/attention_guidance.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace safelight::diffusion {
namespace {

constexpr int64_t kReach = 4;  // of the blur, to each side
using Kernel = std::array<double, 2 * kReach + 1>;

/// The middle alone for a blur of no width.
Kernel gaussian(double sigma) {
  Kernel kernel{};
  double total = 0;
  for (int64_t i = -kReach; i <= kReach; ++i) {
    const double x = sigma > 0 ? static_cast<double>(i) / sigma : static_cast<double>(i) * 1e9;
    total += kernel[static_cast<size_t>(i + kReach)] = std::exp(-0.5 * x * x);
  }
  for (double& weight : kernel) weight /= total;
  return kernel;
}

/// A place beyond the edge, mirrored at it.
int64_t mirrored(int64_t i, int64_t n) {
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1), place = ((i % period) + period) % period;
  return place < n ? place : period - place;
}

/// `in` blurred along lines of n values that are `step` apart.
void blur_line(const double* in, double* out, int64_t n, int64_t step, const Kernel& kernel) {
  for (int64_t i = 0; i < n; ++i) {
    double total = 0;
    for (int64_t k = -kReach; k <= kReach; ++k)
      total += kernel[static_cast<size_t>(k + kReach)] * in[mirrored(i + k, n) * step];
    out[i * step] = total;
  }
}

std::vector<double> blurred(const float* channel, int64_t height, int64_t width,
                            const Kernel& kernel) {
  const std::vector<double> given(channel, channel + height * width);
  std::vector<double> rows(given.size()), result(given.size());
  for (int64_t y = 0; y < height; ++y)
    blur_line(given.data() + y * width, rows.data() + y * width, width, 1, kernel);
  for (int64_t x = 0; x < width; ++x)
    blur_line(rows.data() + x, result.data() + x, height, width, kernel);
  return result;
}

}  // namespace

double perturbed_scale(double scale, double adaptive, double timestep) {
  if (adaptive <= 0) return scale;
  return std::max(0.0, scale - adaptive * (1000 - timestep));
}

Tensor degraded(const Tensor& pictures, const Tensor& attention, const DegradeOptions& options) {
  const Kernel kernel = gaussian(options.blur_sigma);
  const int64_t count = pictures.shape.at(0), channels = pictures.shape.at(1),
                height = pictures.shape.at(2), width = pictures.shape.at(3);
  const int64_t rows = attention.shape.at(1), columns = attention.shape.at(2);
  Tensor result = pictures;
  for (int64_t plane = 0; plane < count * channels; ++plane) {
    float* channel = result.begin() + plane * height * width;
    const float* received = attention.begin() + plane / channels * rows * columns;
    const std::vector<double> soft = blurred(channel, height, width, kernel);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        if (!(received[y * rows / height * columns + x * columns / width] > options.threshold))
          continue;
        channel[y * width + x] = static_cast<float>(soft[static_cast<size_t>(y * width + x)]);
      }
    }
  }
  return result;
}

}  // namespace safelight::diffusion
