#include "image/image.h"

#include <algorithm>
#include <cmath>

namespace safelight::image {

Image to_image(const Tensor& tensor, int64_t index) {
  const int64_t height = tensor.shape.at(2), width = tensor.shape.at(3), plane = height * width;
  Image picture{static_cast<int>(width), static_cast<int>(height), 3, {}};
  picture.pixels.resize(static_cast<size_t>(3 * plane));
  const float* from = tensor.begin() + index * 3 * plane;
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t i = 0; i < plane; ++i) {
      // A NaN becomes black rather than undefined.
      const float x = std::min(std::max(from[c * plane + i], -1.0F), 1.0F);
      const float level = std::nearbyint((x + 1) * 127.5F);
      picture.pixels[static_cast<size_t>(3 * i + c)] = static_cast<uint8_t>(level > 0 ? level : 0);
    }
  }
  return picture;
}

Tensor to_tensor(const Image& image) {
  const int64_t plane = int64_t{image.width} * image.height;
  Tensor tensor({1, 3, image.height, image.width});
  for (int64_t i = 0; i < plane; ++i) {
    for (int64_t c = 0; c < 3; ++c) {
      tensor.data[static_cast<size_t>(c * plane + i)] =
          static_cast<float>(image.pixels[static_cast<size_t>(3 * i + c)]) / 127.5F - 1;
    }
  }
  return tensor;
}

}  // namespace safelight::image
