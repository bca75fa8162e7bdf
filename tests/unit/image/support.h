#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "image/codec.h"
#include "image/image.h"

namespace safelight::image {

inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// A smooth picture, so that lossy formats stay near it.
inline Image gradient(int width, int height, int channels = 3) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const int level = c == 0 ? x * 255 / width : c == 1 ? y * 255 / height : 255 - x - y;
        image.pixels.push_back(static_cast<uint8_t>(level));
      }
    }
  }
  return image;
}

/// A grid of two colours as far apart as there are: what chroma subsampling mixes.
inline Image checkers(int side) {
  Image image{side, side, 3, {}};
  for (int i = 0; i < side * side; ++i) {
    const bool red = (i % side + i / side) % 2 == 0;
    for (const int level : {red ? 255 : 0, 0, red ? 0 : 255}) {
      image.pixels.push_back(static_cast<uint8_t>(level));
    }
  }
  return image;
}

/// The mean absolute difference of two pictures of one size, in levels of 0 to 255.
inline double mean_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double sum = 0;
  for (size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i) {
    sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  }
  return sum / static_cast<double>(a.pixels.size());
}

/// The encoded file; an empty one after a test failure.
inline std::string encoded(const Image& image, const EncodeOptions& options) {
  Result<std::string> file = encode(image, options);
  if (file) return std::move(*file);
  ADD_FAILURE() << file.error().message;
  return "";
}

/// The decoded picture; an empty one after a test failure.
inline Image decoded(std::string_view file) {
  Result<Image> image = decode(as_bytes(file));
  if (image) return std::move(*image);
  ADD_FAILURE() << image.error().message;
  return {};
}

/// The message of what must fail.
template <class T>
std::string failure_of(const Result<T>& result) {
  return result ? "nothing failed" : result.error().message;
}

/// The lowest `size` bytes of a number, the last first.
inline std::string little_endian(uint64_t value, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

inline std::string big_endian(uint64_t value, size_t size) {
  const std::string bytes = little_endian(value, size);
  return {bytes.rbegin(), bytes.rend()};
}

}  // namespace safelight::image
