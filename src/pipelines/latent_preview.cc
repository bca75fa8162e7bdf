#include "pipelines/latent_preview.h"

#include <algorithm>
#include <cmath>

namespace safelight::pipelines {
namespace {

constexpr size_t kColours = 3;
/// What earlier pictures count when a new one comes: the last twenty or so decide.
constexpr double kMemory = 0.95;
/// Of the mean square of a term, added to it: a first picture of one colour must not give wild
/// factors.
constexpr double kRidge = 1e-3;

/// Solves a x = b for symmetric positive definite a [n, n], b [n, 3], by Cholesky; in place, x in
/// b.
void solve(std::vector<double>& a, std::vector<double>& b, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double rest = a[i * n + j];
      for (size_t k = 0; k < j; ++k) rest -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(std::max(rest, 1e-30)) : rest / a[j * n + j];
    }
  }
  for (size_t colour = 0; colour < kColours; ++colour) {
    for (size_t i = 0; i < n; ++i) {
      double& x = b[i * kColours + colour];
      for (size_t k = 0; k < i; ++k) x -= a[i * n + k] * b[k * kColours + colour];
      x /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
      double& x = b[i * kColours + colour];
      for (size_t k = i + 1; k < n; ++k) x -= a[k * n + i] * b[k * kColours + colour];
      x /= a[i * n + i];
    }
  }
}

/// The values of a latent at `place` of picture `index`, and 1 for the constant.
void read_terms(const Tensor& latents, int64_t index, int64_t place, std::vector<double>& terms) {
  const int64_t channels = latents.shape[1], size = latents.shape[2] * latents.shape[3];
  for (int64_t c = 0; c < channels; ++c)
    terms[static_cast<size_t>(c)] = latents.begin()[(index * channels + c) * size + place];
  terms.back() = 1;
}

/// The mean colours of the pixels that the latent at (y, x) covers.
std::vector<double> mean_colours(const Tensor& pictures, int64_t index, int64_t factor, int64_t y,
                                 int64_t x) {
  const int64_t height = pictures.shape[2], width = pictures.shape[3];
  std::vector<double> colours(kColours);
  for (size_t c = 0; c < kColours; ++c) {
    const float* plane =
        pictures.begin() +
        (index * static_cast<int64_t>(kColours) + static_cast<int64_t>(c)) * height * width;
    for (int64_t row = y * factor; row < (y + 1) * factor; ++row)
      for (int64_t column = x * factor; column < (x + 1) * factor; ++column)
        colours[c] += std::clamp(plane[row * width + column], -1.0F, 1.0F);
    colours[c] /= static_cast<double>(factor * factor);
  }
  return colours;
}

}  // namespace

void LatentPreview::learn(const Tensor& latents, const Tensor& pictures) {
  const auto terms = static_cast<size_t>(latents.shape[1]) + 1;
  if (terms != terms_) {
    terms_ = terms;
    moments_.assign(terms * terms, 0);
    colour_moments_.assign(terms * kColours, 0);
  }
  for (double& moment : moments_) moment *= kMemory;
  for (double& moment : colour_moments_) moment *= kMemory;
  const int64_t height = latents.shape[2], width = latents.shape[3];
  const int64_t factor = pictures.shape[2] / height;
  std::vector<double> values(terms);
  for (int64_t n = 0; n < latents.shape[0]; ++n) {
    for (int64_t place = 0; place < height * width; ++place) {
      read_terms(latents, n, place, values);
      const std::vector<double> colours =
          mean_colours(pictures, n, factor, place / width, place % width);
      for (size_t i = 0; i < terms; ++i) {
        for (size_t j = 0; j < terms; ++j) moments_[i * terms + j] += values[i] * values[j];
        for (size_t c = 0; c < kColours; ++c)
          colour_moments_[i * kColours + c] += values[i] * colours[c];
      }
    }
  }
  fit();
}

void LatentPreview::fit() {
  std::vector<double> moments = moments_;
  map_ = colour_moments_;
  double largest = 0;
  for (size_t i = 0; i < terms_; ++i) largest = std::max(largest, moments[i * terms_ + i]);
  for (size_t i = 0; i < terms_; ++i) moments[i * terms_ + i] += kRidge * largest;
  solve(moments, map_, terms_);
}

image::UncheckedImage LatentPreview::draw(const Tensor& latents, int64_t index) const {
  const int64_t height = latents.shape[2], width = latents.shape[3];
  Tensor picture({1, static_cast<int64_t>(kColours), height, width});
  std::vector<double> values(terms_);
  for (int64_t place = 0; place < height * width; ++place) {
    read_terms(latents, index, place, values);
    for (size_t c = 0; c < kColours; ++c) {
      double colour = 0;
      for (size_t i = 0; i < terms_; ++i) colour += values[i] * map_[i * kColours + c];
      picture.data[c * static_cast<size_t>(height * width) + static_cast<size_t>(place)] =
          static_cast<float>(colour);
    }
  }
  return image::UncheckedImage(image::to_image(picture, 0));
}

}  // namespace safelight::pipelines
