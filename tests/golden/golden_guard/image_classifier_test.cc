// The image classifier against what nsfwjs gives under TensorFlow.js (tools/reference/nsfwjs/).
#include "guard/image_classifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/file.h"
#include "base/json.h"

namespace safelight::guard {
namespace {

/// The recorder's random numbers.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed) {}
  int below(int n) {
    state_ = state_ * 1664525U + 1013904223U;
    return static_cast<int>((state_ >> 8) % static_cast<uint32_t>(n));
  }

 private:
  uint32_t state_;
};

std::array<int, 3> three(Numbers& numbers, int n) {
  std::array<int, 3> values{};
  for (int& value : values) value = numbers.below(n);
  return values;
}

void draw_shape(Numbers& numbers, image::Image& image) {
  const bool disc = numbers.below(2) == 1;
  const int cx = numbers.below(image.width), cy = numbers.below(image.height);
  const int r = 4 + numbers.below(80);
  const std::array<int, 3> colour = three(numbers, 256);
  for (int y = std::max(0, cy - r); y < std::min(image.height, cy + r); ++y) {
    for (int x = std::max(0, cx - r); x < std::min(image.width, cx + r); ++x) {
      if (disc && (x - cx) * (x - cx) + (y - cy) * (y - cy) > r * r) continue;
      for (size_t c = 0; c < 3; ++c)
        image.pixels[static_cast<size_t>(y * image.width + x) * 3 + c] =
            static_cast<uint8_t>(colour[c]);
    }
  }
}

/// Picture i, as tools/reference/nsfwjs/record.mjs draws it.
image::Image picture(int i) {
  Numbers numbers(static_cast<uint32_t>(i + 1));
  image::Image image;
  image.width = i % 4 == 0 ? 224 : 40 + numbers.below(400);
  image.height = i % 4 == 0 ? 224 : 40 + numbers.below(400);
  image.pixels.resize(image.row_bytes() * static_cast<size_t>(image.height));
  const std::array<int, 3> base = three(numbers, 256), slope = three(numbers, 5);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (size_t c = 0; c < 3; ++c)
        image.pixels[static_cast<size_t>(y * image.width + x) * 3 + c] =
            static_cast<uint8_t>((base[c] + (((x + 2 * y) * slope[c]) >> 2)) & 255);
    }
  }
  const int shapes = numbers.below(12);
  for (int s = 0; s < shapes; ++s) draw_shape(numbers, image);
  if (i % 3 == 0) {
    for (uint8_t& value : image.pixels)
      value = static_cast<uint8_t>(std::min(255, value + numbers.below(40)));
  }
  return image;
}

class ImageClassifierTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine_ = *engine::make_engine("cpu", {.precision = engine::Precision::kF32});
    auto loaded = ImageClassifier::load(*engine_, std::string(SAFELIGHT_GUARD_MODELS) + "/" +
                                                      std::string(ImageClassifier::kFileName));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    classifier_ = std::move(*loaded);
  }

  std::array<double, 5> scores(const image::Image& image) {
    const auto s = classifier_->classify(image);
    EXPECT_TRUE(s.ok());
    return {s->drawing, s->hentai, s->neutral, s->porn, s->sexy};
  }

  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<ImageClassifier> classifier_;
};

TEST_F(ImageClassifierTest, EqualsNsfwjs) {
  const auto text = read_file(
      std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/nsfwjs/scores.json", 1 << 20);
  ASSERT_TRUE(text.ok());
  const auto recorded = parse_json(*text);
  ASSERT_TRUE(recorded.ok());
  ASSERT_EQ(recorded->as_array().size(), 200U);
  double most = 0, spread = 0;
  for (int i = 0; i < 200; ++i) {
    const std::array<double, 5> got = scores(picture(i));
    for (size_t k = 0; k < 5; ++k) {
      const double want = recorded->at(static_cast<size_t>(i)).at(k).to_number<double>();
      most = std::max(most, std::abs(got[k] - want));
      spread += std::abs(want - recorded->at(0).at(k).to_number<double>());
    }
  }
  EXPECT_LE(most, 1e-3);
  EXPECT_GT(spread, 1) << "the pictures hardly differ for the classifier";
}

TEST_F(ImageClassifierTest, GreyAndTransparentImagesAreReadAsTheyLook) {
  image::Image rgb{.width = 64, .height = 50, .channels = 3, .pixels = {}};
  rgb.pixels.resize(size_t{64} * 50 * 3, 200);
  image::Image grey{.width = 64, .height = 50, .channels = 1, .pixels = {}};
  grey.pixels.resize(size_t{64} * 50, 200);
  EXPECT_EQ(scores(grey), scores(rgb));
  image::Image clear{.width = 64, .height = 50, .channels = 4, .pixels = {}};
  clear.pixels.resize(size_t{64} * 50 * 4, 0);
  std::fill(rgb.pixels.begin(), rgb.pixels.end(), uint8_t{255});
  EXPECT_EQ(scores(clear), scores(rgb)) << "what is transparent lies on white";
}

TEST_F(ImageClassifierTest, AnImageWithoutPixelsIsRefused) {
  EXPECT_EQ(classifier_->classify(image::Image{}).error().code, ErrorCode::kInvalidArgument);
  const image::Image dot{.width = 1, .height = 1, .channels = 3, .pixels = {1, 2, 3}};
  EXPECT_TRUE(classifier_->classify(dot).ok());
}

}  // namespace
}  // namespace safelight::guard
