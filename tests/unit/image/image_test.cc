#include "image/image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace safelight::image {
namespace {

/// The level of one value in all channels of a picture of one pixel.
int level_of(float value) {
  Tensor tensor({1, 3, 1, 1});
  std::fill(tensor.data.begin(), tensor.data.end(), value);
  const Image image = to_image(tensor, 0);
  EXPECT_EQ(image.pixels.size(), 3U);
  EXPECT_EQ(image.pixels[0], image.pixels[2]);
  return image.pixels[1];
}

TEST(ToImage, EveryLevelComesBack) {
  Image image{256, 1, 3, {}};
  for (int i = 0; i < 256 * 3; ++i) image.pixels.push_back(static_cast<uint8_t>(i / 3));
  const Tensor tensor = to_tensor(image);
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{1, 3, 1, 256}));
  EXPECT_EQ(to_image(tensor, 0).pixels, image.pixels);
}

TEST(ToImage, RoundsToNearestWithHalvesToEven) {
  EXPECT_EQ(level_of(0), 128);              // 127.5
  EXPECT_EQ(level_of(-1 + 1 / 127.5F), 1);  // a whole level
  EXPECT_EQ(level_of(-1 + 1.49F / 127.5F), 1);
  EXPECT_EQ(level_of(-1 + 1.51F / 127.5F), 2);
}

TEST(ToImage, ClampsWhatIsOutside) {
  EXPECT_EQ(level_of(-1.5F), 0);
  EXPECT_EQ(level_of(1.5F), 255);
  EXPECT_EQ(level_of(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(level_of(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_EQ(level_of(std::numeric_limits<float>::quiet_NaN()), 0);
}

TEST(ToImage, TakesPicturesOfABatchRowByRow) {
  Tensor tensor({2, 3, 2, 3});
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    tensor.data[i] = static_cast<float>(i) / 127.5F - 1;
  }
  const Image second = to_image(tensor, 1);
  EXPECT_EQ(second.width, 3);
  EXPECT_EQ(second.height, 2);
  // Channels of 6 values each, from 18 on; pixels hold all three.
  const std::vector<uint8_t> first_row = {18, 24, 30, 19, 25, 31, 20, 26, 32};
  EXPECT_EQ(std::vector<uint8_t>(second.pixels.begin(), second.pixels.begin() + 9), first_row);
  EXPECT_EQ(second.pixels[9], 21);
}

}  // namespace
}  // namespace safelight::image
