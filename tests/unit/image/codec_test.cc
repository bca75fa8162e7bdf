#include "image/codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support.h"

namespace safelight::image {
namespace {

TEST(Codec, PngKeepsEveryPixel) {
  for (const int channels : {3, 4}) {
    for (const int compression : {0, 4, 9}) {
      const Image image = gradient(61, 35, channels);
      const Image back = decoded(encoded(image, {.compression = compression}));
      EXPECT_EQ(back.width, 61);
      EXPECT_EQ(back.height, 35);
      EXPECT_EQ(back.channels, channels);
      EXPECT_EQ(back.pixels, image.pixels);
    }
  }
}

TEST(Codec, PngOfOnePixel) {
  const Image image = gradient(1, 1);
  EXPECT_EQ(decoded(encoded(image, {})).pixels, image.pixels);
}

TEST(Codec, GreyComesBackAsRgb) {
  const Image image = gradient(8, 8, 1);
  for (const Format format : {Format::kPng, Format::kJpeg}) {
    const Image back = decoded(encoded(image, {.format = format, .quality = 100}));
    ASSERT_EQ(back.channels, 3);
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      EXPECT_NEAR(back.pixels[3 * i], image.pixels[i], format == Format::kPng ? 0 : 2);
      EXPECT_EQ(back.pixels[3 * i], back.pixels[3 * i + 2]);
    }
  }
}

TEST(Codec, JpegIsNearAndBetterWithQuality) {
  const Image image = gradient(64, 40);
  double last = 100;
  for (const int quality : {5, 60, 100}) {
    const Image back = decoded(encoded(image, {.format = Format::kJpeg, .quality = quality}));
    EXPECT_EQ(back.width, 64);
    EXPECT_EQ(back.height, 40);
    const double difference = mean_difference(image, back);
    EXPECT_LT(difference, last);
    last = difference;
  }
  EXPECT_LT(last, 1);
}

TEST(Codec, JpegKeepsFullChromaFromQuality90) {
  const Image image = checkers(32);
  const auto difference = [&](int quality) {
    return mean_difference(image,
                           decoded(encoded(image, {.format = Format::kJpeg, .quality = quality})));
  };
  EXPECT_LT(difference(90), 10);
  EXPECT_GT(difference(89), 40);
}

TEST(Codec, WebpIsLosslessAtQuality100) {
  for (const int channels : {3, 4}) {
    Image image = gradient(33, 20, channels);
    if (channels == 4) {  // libwebp drops the colour of what cannot be seen
      for (size_t i = 3; i < image.pixels.size(); i += 4) image.pixels[i] |= 1;
    }
    const Image back = decoded(encoded(image, {.format = Format::kWebp, .quality = 100}));
    EXPECT_EQ(back.channels, channels);
    EXPECT_EQ(back.pixels, image.pixels);
    const Image lossy = decoded(encoded(image, {.format = Format::kWebp, .quality = 90}));
    EXPECT_GT(mean_difference(image, lossy), 0);
    EXPECT_LT(mean_difference(image, lossy), 4);
  }
}

TEST(Codec, RefusesWhatAFormatCannotHold) {
  const auto fails = [](const Image& image, const EncodeOptions& options) {
    return failure_of(encode(image, options));
  };
  const Image image = gradient(4, 4);
  EXPECT_EQ(fails(image, {.quality = 0}), "quality is 0; 1 to 100 are possible");
  EXPECT_EQ(fails(image, {.quality = 101}), "quality is 101; 1 to 100 are possible");
  EXPECT_EQ(fails(image, {.compression = 10}), "PNG compression is 10; 0 to 9 are possible");
  EXPECT_EQ(fails(gradient(4, 4, 4), {.format = Format::kJpeg}),
            "JPEG holds no transparency; use PNG or WebP");
  EXPECT_EQ(fails(gradient(4, 4, 1), {.format = Format::kWebp}),
            "WebP holds no grey pictures; use PNG or JPEG");
  EXPECT_EQ(fails(gradient(4, 4, 2), {}), "the picture has 2 channels; 1, 3 or 4 are needed");
  EXPECT_EQ(fails(Image{0, 4, 3, {}}, {}),
            "the picture is 0 x 4; at most 32768 a side and 268435456 pixels in all are taken");
  EXPECT_EQ(fails(Image{4, 4, 3, std::vector<uint8_t>(47)}, {}),
            "the picture holds 47 bytes of pixels; 4 x 4 x 3 are 48");
  EXPECT_EQ(fails(gradient(16384, 1), {.format = Format::kWebp}),
            "the picture is 16384 x 1; WebP holds at most 16383 pixels a side; use PNG");
  EXPECT_EQ(fails(image, {.format = Format::kJpeg, .parameters = std::string(40000, 'a')}),
            "the generation text takes 80058 bytes; JPEG holds at most 65533; use PNG or WebP, or "
            "leave the text out");
}

TEST(Codec, LongTextsFitAllFormatsButJpeg) {
  const std::string most((65533 - 58) / 2, 'a');
  for (const Format format : {Format::kPng, Format::kJpeg, Format::kWebp}) {
    EXPECT_TRUE(check_parameters(format, most));
    EXPECT_FALSE(encoded(gradient(4, 4), {.format = format, .parameters = most}).empty());
    EXPECT_EQ(check_parameters(format, most + 'a').ok(), format != Format::kJpeg);
  }
}

TEST(Codec, FormatsAreFoundByNameEndingAndFirstBytes) {
  EXPECT_EQ(*find_format("PNG"), Format::kPng);
  EXPECT_EQ(*find_format(".JPG"), Format::kJpeg);
  EXPECT_EQ(*find_format("jpeg"), Format::kJpeg);
  EXPECT_EQ(*find_format(".webp"), Format::kWebp);
  EXPECT_EQ(failure_of(find_format("gif")),
            "picture format 'gif' is unknown; use png, jpg or webp");
  for (const Format format : {Format::kPng, Format::kJpeg, Format::kWebp}) {
    EXPECT_EQ(sniff_format(as_bytes(encoded(gradient(8, 8), {.format = format}))), format);
    EXPECT_EQ(*find_format(format_name(format)), format);
    EXPECT_EQ(*find_format(format_extension(format)), format);
  }
  EXPECT_EQ(sniff_format(as_bytes("RIFF1234WAVE")), std::nullopt);
  EXPECT_EQ(sniff_format(as_bytes("")), std::nullopt);
}

// Hostile files.

TEST(HostileImage, OtherFormatsAreNamedAsSuch) {
  for (const std::string_view file : {"", "GIF89a", "\x89PNG\r\n", "\xff\xd8", "RIFF"}) {
    EXPECT_EQ(failure_of(decode(as_bytes(file))), "this is no PNG, JPEG or WebP file");
  }
}

TEST(HostileImage, NoTruncatedFileDecodes) {
  for (const Format format : {Format::kPng, Format::kJpeg, Format::kWebp}) {
    const std::string file = encoded(gradient(24, 24), {.format = format, .parameters = "text"});
    // What stands behind a PNG's last pixel: two checksums and the chunk IEND.
    const size_t last = file.size() - (format == Format::kPng ? 4 + 4 + 12 : 2);
    for (size_t size = 0; size < last; ++size) {
      const Result<Image> image = decode(as_bytes(std::string_view(file).substr(0, size)));
      ASSERT_FALSE(image) << format_name(format) << " cut to " << size << " bytes";
    }
  }
}

TEST(HostileImage, AnyByteChangedGivesAPictureOrAnError) {
  for (const Format format : {Format::kPng, Format::kJpeg, Format::kWebp}) {
    const std::string file = encoded(gradient(16, 16), {.format = format, .parameters = "text"});
    for (size_t at = 0; at < file.size(); ++at) {
      std::string changed = file;
      changed[at] = static_cast<char>(~changed[at]);
      const Result<Image> image = decode(as_bytes(changed));
      if (!image) continue;
      EXPECT_EQ(image->pixels.size(), image->row_bytes() * static_cast<size_t>(image->height));
    }
  }
}

/// The PNG of an 8 x 8 picture whose header says another size, with the right checksum.
std::string png_of_size(uint32_t width, uint32_t height) {
  std::string body = "IHDR" + big_endian(width, 4) + big_endian(height, 4);
  body += std::string("\x08\x02\x00\x00\x00", 5);
  uint32_t crc = ~0U;
  for (const char c : body) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  constexpr size_t kSignature = 8, kHeader = 25;
  const std::string good = encoded(gradient(8, 8), {});
  return good.substr(0, kSignature) + big_endian(13, 4) + body + big_endian(~crc, 4) +
         good.substr(kSignature + kHeader);
}

TEST(HostileImage, PngThatLiesAboutItsSize) {
  EXPECT_EQ(decoded(png_of_size(8, 8)).pixels, gradient(8, 8).pixels);
  EXPECT_FALSE(decode(as_bytes(png_of_size(0, 8))));
  EXPECT_FALSE(decode(as_bytes(png_of_size(8, 9))));
  EXPECT_FALSE(decode(as_bytes(png_of_size(0x80000000U, 1))));
  EXPECT_FALSE(decode(as_bytes(png_of_size(65535, 65535))));
  EXPECT_EQ(failure_of(decode(as_bytes(png_of_size(32768, 32768)))),
            "the picture is 32768 x 32768; at most 32768 a side and 268435456 pixels in all are "
            "taken");
  const std::string bomb = png_of_size(16384, 16384);
  EXPECT_EQ(failure_of(decode(as_bytes(bomb))),
            fmt::format("this PNG cannot be read: its {} bytes are too few for 16384 x 16384 "
                        "pixels",
                        bomb.size()));
}

TEST(HostileImage, JpegThatLiesAboutItsSize) {
  std::string file = encoded(gradient(16, 16), {.format = Format::kJpeg});
  const size_t frame = file.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  const auto of_size = [&](uint32_t width, uint32_t height) {
    std::string lying = file;
    return lying.replace(frame + 5, 4, big_endian(height, 2) + big_endian(width, 2));
  };
  EXPECT_TRUE(decode(as_bytes(of_size(16, 16))));
  EXPECT_EQ(failure_of(decode(as_bytes(of_size(65535, 65535)))),
            "this JPEG cannot be read: Maximum supported image dimension is 65500 pixels");
  EXPECT_EQ(failure_of(decode(as_bytes(of_size(40000, 10)))),
            "the picture is 40000 x 10; at most 32768 a side and 268435456 pixels in all are "
            "taken");
  EXPECT_FALSE(decode(as_bytes(of_size(0, 16))));
  EXPECT_EQ(failure_of(decode(as_bytes(of_size(16, 1600)))),
            "this JPEG cannot be read: Corrupt JPEG data: premature end of data segment");
}

TEST(HostileImage, WebpThatLiesAboutItsSize) {
  std::string file = encoded(gradient(16, 16), {.format = Format::kWebp});
  const size_t key = file.find("\x9d\x01\x2a");  // what stands before a VP8 frame's size
  ASSERT_NE(key, std::string::npos);
  const auto of_size = [&](uint32_t width, uint32_t height) {
    std::string lying = file;
    return lying.replace(key + 3, 4, little_endian(width, 2) + little_endian(height, 2));
  };
  EXPECT_TRUE(decode(as_bytes(of_size(16, 16))));
  EXPECT_FALSE(decode(as_bytes(of_size(0, 16))));
  EXPECT_FALSE(decode(as_bytes(of_size(16, 1600))));
  EXPECT_FALSE(decode(as_bytes(of_size(16383, 500))));
}

TEST(HostileImage, JpegOfEndlessScansIsGivenUp) {
  // A progressive grey picture: header, one Huffman table, then the same empty refinement of the
  // spectrum over and over, each a pass over all pixels.
  std::string file("\xff\xd8", 2);
  file += std::string("\xff\xdb\x00\x43\x00", 5) + std::string(64, '\1');
  file += std::string("\xff\xc2\x00\x0b\x08", 5) + big_endian(64, 2) + big_endian(64, 2) +
          std::string("\x01\x01\x11\x00", 4);
  file += std::string("\xff\xc4\x00\x14\x10\x01", 6) + std::string(15, '\0') + '\0';
  const std::string scan("\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00", 10);
  for (int i = 0; i < 1000; ++i) file += scan + std::string(8, '\0');
  file += "\xff\xd9";
  EXPECT_EQ(failure_of(decode(as_bytes(file))),
            "this JPEG cannot be read: it has more than 200 scans");
}

TEST(HostileImage, AnimatedWebpIsNamedAsSuch) {
  std::string file = "WEBPVP8X" + little_endian(10, 4) + '\2' + std::string(3, '\0') +
                     little_endian(7, 3) + little_endian(7, 3) + "ANIM" + little_endian(6, 4) +
                     std::string(6, '\0');
  file = "RIFF" + little_endian(file.size(), 4) + file;
  EXPECT_EQ(failure_of(decode(as_bytes(file))),
            "this WebP is an animation; a still picture is needed");
}

}  // namespace
}  // namespace safelight::image
