#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace safelight::image {

/// Interleaved 8-bit pixels, row by row: 1 (grey), 3 (RGB) or 4 (RGBA) channels.
struct Image {
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;

  size_t row_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
};

/// Picture `index` of a tensor [B, 3, H, W] in [-1, 1]; values outside are clamped, the rest
/// rounded to the nearest of 256 steps: round((x + 1) * 127.5), halves to even as torch's round().
Image to_image(const Tensor& tensor, int64_t index);

/// [1, 3, H, W] in [-1, 1]: x = p / 127.5 - 1. The picture must have 3 channels.
Tensor to_tensor(const Image& image);

}  // namespace safelight::image
