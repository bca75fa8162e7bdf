#include "image/image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "image/codec.h"
#include "image/exif.h"
#include "image/metadata.h"
#include "image/text_chunks.h"

namespace safelight::image {
namespace {

Image random_image(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  std::mt19937 random(7);
  for (size_t i = 0; i < image.row_bytes() * static_cast<size_t>(height); ++i) {
    image.pixels.push_back(static_cast<uint8_t>(1 + (i / 7 + random() % 8) % 255));
  }
  return image;
}

Bytes bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

const std::string kNasty = "a cat, \"猫\" 😀 é\nSteps: 20, Sampler: Euler a";

TEST(Image, RoundsToTheNearestLevel) {
  const Tensor tensor({1, 3, 1, 2}, {-1, 1, 0, -2, 0.004F, NAN});
  const Image image = to_image(tensor, 0);
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{0, 128, 128, 255, 0, 0}));
  const Tensor back = to_tensor(image);
  EXPECT_EQ(back.shape, tensor.shape);
  EXPECT_FLOAT_EQ(back.data[0], -1);
  EXPECT_FLOAT_EQ(back.data[1], 1);
}

TEST(Codec, LosslessFormatsKeepEveryPixel) {
  for (const int channels : {3, 4}) {
    const Image image = random_image(37, 19, channels);
    for (const EncodeOptions& options :
         {EncodeOptions{.format = Format::kPng, .parameters = kNasty},
          EncodeOptions{.format = Format::kWebp, .quality = 100, .parameters = kNasty}}) {
      const auto file = encode(image, options);
      ASSERT_TRUE(file.ok()) << file.error().message;
      EXPECT_EQ(sniff_format(bytes_of(*file)), options.format);
      const auto decoded = decode(bytes_of(*file));
      ASSERT_TRUE(decoded.ok()) << decoded.error().message;
      EXPECT_EQ(decoded->channels, channels);
      EXPECT_EQ(decoded->pixels, image.pixels);
    }
  }
}

TEST(Codec, LossyFormatsComeNear) {
  Image image{64, 48, 3, std::vector<uint8_t>(64 * 48 * 3)};
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(i / 3 % 64 * 3 + i / 192);
  for (const Format format : {Format::kJpeg, Format::kWebp}) {
    const auto file = encode(image, {.format = format, .quality = 95});
    ASSERT_TRUE(file.ok());
    const auto decoded = decode(bytes_of(*file));
    ASSERT_TRUE(decoded.ok());
    double error = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i)
      error += std::abs(image.pixels[i] - decoded->pixels[i]);
    EXPECT_LT(error / static_cast<double>(image.pixels.size()), 3);
  }
}

TEST(Metadata, ComesBackFromEveryFormat) {
  const Image image = random_image(16, 16, 3);
  for (const Format format : {Format::kPng, Format::kJpeg, Format::kWebp}) {
    for (const std::string& text : {kNasty, std::string("plain"), std::string("latin é")}) {
      const auto file = encode(image, {.format = format, .parameters = text});
      ASSERT_TRUE(file.ok());
      const auto read = read_parameters(bytes_of(*file));
      ASSERT_TRUE(read.ok());
      EXPECT_EQ(*read, text) << format_name(format);
    }
    const auto bare = encode(image, {.format = format});
    EXPECT_EQ(*read_parameters(bytes_of(*bare)), std::nullopt);
  }
}

TEST(Metadata, PngTextIsLatin1WhereItCan) {
  const auto latin = encode(random_image(4, 4, 3), {.parameters = "é"});
  EXPECT_NE(latin->find(std::string("tEXtparameters\0\xe9", 16)), std::string::npos);
  const auto other = encode(random_image(4, 4, 3), {.parameters = "猫"});
  EXPECT_NE(other->find("iTXtparameters"), std::string::npos);
  EXPECT_EQ(to_latin1("猫"), std::nullopt);
  EXPECT_EQ(from_latin1(*to_latin1("aé")), "aé");
}

TEST(Metadata, ReadsLittleEndianExif) {
  // As Pillow or a camera writes it: II, the comment in ASCII and in UTF-16.
  const std::string head(
      "II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\x01\0\x86\x92\x07\0", 32);
  const std::string ascii = head + std::string("\x0b\0\0\0\x2c\0\0\0\0\0\0\0ASCII\0\0\0abc", 23);
  EXPECT_EQ(read_exif_comment(ascii), "abc");
  const std::string wide = head + std::string("\x0c\0\0\0\x2c\0\0\0\0\0\0\0UNICODE\0a\0b\0", 24);
  EXPECT_EQ(read_exif_comment(wide), "ab");
}

TEST(Codec, TurnsHostileFilesIntoErrors) {
  EXPECT_EQ(decode(bytes_of("GIF89a")).error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(decode({}).ok());
  const Image image = random_image(40, 30, 3);
  for (const Format format : {Format::kPng, Format::kJpeg, Format::kWebp}) {
    const std::string file = *encode(image, {.format = format, .parameters = "text"});
    for (size_t size = 0; size < file.size(); size += 7) {
      const std::string cut = file.substr(0, size);
      (void)decode(bytes_of(cut));
      (void)read_parameters(bytes_of(cut));
    }
    std::mt19937 random(1);
    for (int trial = 0; trial < 300; ++trial) {
      std::string damaged = file;
      for (int i = 0; i < 4; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
      (void)decode(bytes_of(damaged));
      (void)read_parameters(bytes_of(damaged));
    }
  }
  // A PNG that claims 65535 x 65535 pixels is refused before they are allocated.
  std::string bomb = *encode(image, {});
  bomb.replace(16, 8, std::string("\0\0\xff\xff\0\0\xff\xff", 8));
  EXPECT_FALSE(decode(bytes_of(bomb)).ok());
}

TEST(Codec, ChecksWhatItIsAskedFor) {
  const Image image = random_image(4, 4, 3);
  EXPECT_EQ(encode(image, {.format = Format::kJpeg, .quality = 0}).error().message,
            "quality is 0; 1 to 100 are possible");
  EXPECT_FALSE(encode({}, {}).ok());
  EXPECT_FALSE(encode(random_image(4, 4, 4), {.format = Format::kJpeg}).ok());
  EXPECT_EQ(*find_format(".JPG"), Format::kJpeg);
  EXPECT_EQ(*find_format("webp"), Format::kWebp);
  EXPECT_FALSE(find_format("gif").ok());
}

}  // namespace
}  // namespace safelight::image
