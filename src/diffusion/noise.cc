#include "diffusion/noise.h"

#include <algorithm>
#include <cmath>

namespace safelight::diffusion {
namespace {

/// Spherical interpolation of noise [C, H, W] along the H axis, as SD WebUI's slerp does for
/// variation seeds.
Tensor interpolate(float strength, const Tensor& low, const Tensor& high) {
  const int64_t channels = low.shape[0], height = low.shape[1], width = low.shape[2];
  const auto at = [&](int64_t c, int64_t y, int64_t x) {
    return static_cast<size_t>((c * height + y) * width + x);
  };
  Tensor dots({channels, width});
  double mean = 0;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t x = 0; x < width; ++x) {
      double a = 0, b = 0, dot = 0;
      for (int64_t y = 0; y < height; ++y) {
        const double p = low.data[at(c, y, x)], q = high.data[at(c, y, x)];
        a += p * p;
        b += q * q;
        dot += p * q;
      }
      const double cosine = dot / std::sqrt(a * b);
      dots.data[static_cast<size_t>(c * width + x)] = static_cast<float>(cosine);
      mean += cosine / static_cast<double>(channels * width);
    }
  }
  Tensor result(low.shape);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t x = 0; x < width; ++x) {
      const double cosine = dots.data[static_cast<size_t>(c * width + x)];
      const double omega = std::acos(cosine);
      double from = std::sin((1 - strength) * omega) / std::sin(omega),
             to = std::sin(strength * omega) / std::sin(omega);
      if (std::abs(cosine) >= 1) {  // on one line, as noise one latent high is: no arc to follow
        from = 1 - strength;
        to = strength;
      }
      if (mean > 0.9995) {  // nearly the same noise; the weights stand as SD WebUI has them
        from = strength;
        to = 1 - strength;
      }
      for (int64_t y = 0; y < height; ++y) {
        const size_t i = at(c, y, x);
        result.data[i] = static_cast<float>(from * low.data[i] + to * high.data[i]);
      }
    }
  }
  return result;
}

/// Puts the middle of `from` [C, h, w] over the middle of `to` [C, H, W].
void paste_centred(const Tensor& from, Tensor& to) {
  int64_t source[2], target[2], size[2];
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t inner = from.shape[axis + 1], outer = to.shape[axis + 1];
    // Python's // rounds down for negative numbers too.
    const int64_t shift = (outer - inner) >= 0 ? (outer - inner) / 2 : -((inner - outer + 1) / 2);
    size[axis] = shift >= 0 ? inner : inner + 2 * shift;
    target[axis] = std::max<int64_t>(shift, 0);
    source[axis] = std::max<int64_t>(-shift, 0);
  }
  for (int64_t c = 0; c < to.shape[0]; ++c) {
    for (int64_t y = 0; y < size[0]; ++y) {
      const float* row =
          from.begin() + (c * from.shape[1] + source[0] + y) * from.shape[2] + source[1];
      std::copy_n(row, size[1],
                  to.begin() + (c * to.shape[1] + target[0] + y) * to.shape[2] + target[1]);
    }
  }
}

}  // namespace

ImageNoise::ImageNoise(NoiseOptions options) : options_(std::move(options)) {
  for (const uint64_t seed : options_.seeds) generators_.push_back(generator(seed));
}

ImageNoise::Generator ImageNoise::generator(uint64_t seed) const {
  if (options_.source == NoiseSource::kNv) return PhiloxGenerator(seed);
  return TorchGenerator(seed);
}

Tensor ImageNoise::first_of(size_t index) {
  const auto draw = [](Generator& from, const std::vector<int64_t>& shape) {
    Tensor noise(shape);
    std::visit([&](auto& source) { source.randn(noise.data); }, from);
    return noise;
  };
  std::vector<int64_t> shape = options_.shape;
  const bool resized = options_.seed_resize_height > 0 && options_.seed_resize_width > 0;
  if (resized) shape = {shape[0], options_.seed_resize_height, options_.seed_resize_width};
  const bool other_size = shape != options_.shape;
  Generator fresh = generator(options_.seeds[index]);
  Tensor noise = draw(other_size ? fresh : generators_[index], shape);
  if (options_.subseed_strength != 0) {
    Generator variation =
        generator(index < options_.subseeds.size() ? options_.subseeds[index] : 0);
    noise = interpolate(options_.subseed_strength, noise, draw(variation, shape));
  }
  if (!other_size) return noise;
  Tensor whole = draw(generators_[index], options_.shape);
  paste_centred(noise, whole);
  return whole;
}

Tensor ImageNoise::first() {
  std::vector<int64_t> shape = options_.shape;
  shape.insert(shape.begin(), static_cast<int64_t>(options_.seeds.size()));
  Tensor batch(shape);
  float* to = batch.begin();
  for (size_t i = 0; i < options_.seeds.size(); ++i) {
    const Tensor noise = first_of(i);
    to = std::copy(noise.begin(), noise.end(), to);
  }
  if (options_.eta_noise_seed_delta != 0) {
    for (size_t i = 0; i < generators_.size(); ++i) {
      generators_[i] =
          generator(options_.seeds[i] + static_cast<uint64_t>(options_.eta_noise_seed_delta));
    }
  }
  return batch;
}

Tensor ImageNoise::next() {
  std::vector<int64_t> shape = options_.shape;
  const auto size = static_cast<size_t>(Tensor::count(shape));
  shape.insert(shape.begin(), static_cast<int64_t>(options_.seeds.size()));
  Tensor batch(shape);
  for (size_t i = 0; i < generators_.size(); ++i) {
    std::visit(
        [&](auto& source) {
          source.randn({batch.begin() + i * size, size});
        },
        generators_[i]);
  }
  return batch;
}

}  // namespace safelight::diffusion
