#include "image/metadata.h"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>

#include "base/json.h"
#include "image/exif.h"
#include "image/text_chunks.h"
#include "support.h"

namespace safelight::image {
namespace {

constexpr Format kAllFormats[] = {Format::kPng, Format::kJpeg, Format::kWebp};
const std::string kReplacement = "\xEF\xBF\xBD";

/// The text in a file; "(none)" where there is none.
std::string text_in(std::string_view file) {
  const Result<std::optional<std::string>> text = read_parameters(as_bytes(file));
  if (!text) return "failed: " + text.error().message;
  return text->value_or("(none)");
}

TEST(Parameters, ComeBackFromEveryFormat) {
  const std::string texts[] = {
      "a red apple\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7",
      "café à la crème, ½ ÿ \x7f\t", "一个红苹果 🍎 \U0010FFFF Ārija", std::string(5000, 'x') + "é",
      "一" + std::string(100, ' ')};
  for (const std::string& text : texts) {
    for (const Format format : kAllFormats) {
      const std::string file = encoded(gradient(8, 8), {.format = format, .parameters = text});
      EXPECT_EQ(text_in(file), text) << format_name(format);
      EXPECT_EQ(decoded(file).width, 8);
    }
  }
}

TEST(Parameters, AreAbsentWhereNoneWereGiven) {
  for (const Format format : kAllFormats) {
    EXPECT_EQ(text_in(encoded(gradient(8, 8), {.format = format})), "(none)");
  }
  EXPECT_EQ(text_in("no picture"), "failed: this is no PNG, JPEG or WebP file");
}

TEST(Parameters, OfOtherProgramsAreRead) {
  const std::string folder = SAFELIGHT_SOURCE_DIR "/tests/golden/data/metadata/";
  const auto texts = parse_json(read_file(folder + "texts.json").value());
  ASSERT_TRUE(texts);
  for (const auto& [name, text] : texts->as_object()) {
    const std::string file = read_file(folder + std::string(name)).value();
    EXPECT_EQ(text_in(file), std::string(text.as_string())) << name;
    EXPECT_EQ(decoded(file).width, 8) << name;
  }
  EXPECT_EQ(texts->as_object().size(), 20U);
}

TEST(Texts, AreReadByTheirKeys) {
  const std::string file =
      read_file(SAFELIGHT_SOURCE_DIR "/tests/golden/data/metadata/comfy.png").value();
  constexpr std::string_view kKeys[] = {"prompt", "workflow", "parameters"};
  const auto texts = read_texts(as_bytes(file), kKeys);
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts.at("workflow"), R"({"nodes": []})");
  EXPECT_TRUE(texts.at("prompt").starts_with(R"({"3": {"class_type": "KSampler")"));
  EXPECT_TRUE(read_texts(as_bytes("no picture"), kKeys).empty());
}

TEST(Parameters, PngTextIsStoredAsPillowStoresIt) {
  const auto chunk_of = [](const std::string& text) {
    return encoded(gradient(8, 8), {.parameters = text}).substr(8 + 25 + 4, 4);
  };
  EXPECT_EQ(chunk_of("plain"), "tEXt");
  EXPECT_EQ(chunk_of("ÿ"), "tEXt");
  EXPECT_EQ(chunk_of("Ā"), "iTXt");
}

TEST(Parameters, WebpHoldsTheStructureWithoutTheMarkOfJpeg) {
  const std::string webp = encoded(gradient(8, 8), {.format = Format::kWebp, .parameters = "text"});
  const std::optional<std::string_view> block = find_exif(as_bytes(webp));
  ASSERT_TRUE(block);
  EXPECT_TRUE(block->starts_with("MM"));
  const std::string jpeg = encoded(gradient(8, 8), {.format = Format::kJpeg, .parameters = "text"});
  EXPECT_TRUE(find_exif(as_bytes(jpeg))->starts_with(std::string_view("Exif\0\0MM", 8)));
}

TEST(Latin1, TurnsBothWays) {
  EXPECT_EQ(to_latin1("aÿ\u0080"), "a\xff\x80");
  EXPECT_EQ(to_latin1("Ā"), std::nullopt);
  EXPECT_EQ(to_latin1("\xC3"), std::nullopt);
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(to_latin1(from_latin1(all)), all);
}

// Hostile files.

/// A PNG of text chunks alone (checksums are not looked at when text is read).
std::string png_chunk(std::string_view type, std::string_view data) {
  return big_endian(data.size(), 4) + std::string(type) + std::string(data) + std::string(4, '\0');
}

std::string png_with(const std::string& chunks) {
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", std::string(13, '\0')) + chunks;
}

TEST(HostileText, TruncatedAnywhere) {
  for (const Format format : kAllFormats) {
    const std::string file =
        encoded(gradient(8, 8), {.format = format, .parameters = "the text Ā"});
    for (size_t size = 0; size < file.size(); ++size) {
      const auto text = read_parameters(as_bytes(std::string_view(file).substr(0, size)));
      if (text && *text) {
        EXPECT_EQ(**text, "the text Ā");
      }
    }
  }
}

TEST(HostileText, PngChunksThatLie) {
  using namespace std::string_view_literals;
  EXPECT_EQ(text_in(png_with(big_endian(0xFFFFFFFFU, 4) + "tEXtparameters")), "(none)");
  EXPECT_EQ(text_in(png_with(png_chunk("tEXt", "parameters"))), "(none)");  // no zero byte
  EXPECT_EQ(text_in(png_with(png_chunk("zTXt", "parameters\0"sv))), "(none)");
  EXPECT_EQ(text_in(png_with(png_chunk("zTXt", "parameters\0\0no zlib data"sv))), "(none)");
  EXPECT_EQ(text_in(png_with(png_chunk("iTXt", "parameters\0\0"sv))), "(none)");
  EXPECT_EQ(text_in(png_with(png_chunk("iTXt", "parameters\0\0\0no end"sv))), "(none)");
  EXPECT_EQ(text_in(png_with(png_chunk("iTXt", "parameters\0\1\0\0\0no zlib data"sv))), "(none)");
  // A damaged chunk does not hide a good one behind it.
  EXPECT_EQ(text_in(png_with(png_chunk("zTXt", "parameters\0"sv) +
                             png_chunk("tEXt", "parameters\0good"sv))),
            "good");
  EXPECT_EQ(text_in(png_with(png_chunk("tEXt", "Parameters\0other key"sv))), "(none)");
}

TEST(HostileText, BytesThatAreNoUtf8AreReplaced) {
  using namespace std::string_view_literals;
  EXPECT_EQ(text_in(png_with(png_chunk("iTXt", "parameters\0\0\0\0\0a\xC3(\xED\xA0\x80"sv))),
            "a" + kReplacement + "(" + kReplacement + kReplacement + kReplacement);
}

/// A zlib stream of that many zero bytes: stored as runs of 258 from a distance of one, in
/// deflate's fixed Huffman code.
std::string zlib_bomb(size_t repeats) {
  std::string bits_out;
  uint32_t pending = 0, count = 0;
  const auto put = [&](uint32_t value, uint32_t bits) {  // lowest bit first
    for (uint32_t i = 0; i < bits; ++i) {
      pending |= (value >> i & 1) << count++;
      if (count < 8) continue;
      bits_out += static_cast<char>(pending);
      pending = count = 0;
    }
  };
  const auto put_code = [&](uint32_t code, uint32_t bits) {  // Huffman codes: highest bit first
    for (uint32_t i = bits; i-- > 0;) put(code >> i & 1, 1);
  };
  put(1, 1);          // the last block
  put(1, 2);          // fixed codes
  put_code(0x30, 8);  // literal 0
  for (size_t i = 0; i < repeats; ++i) {
    put_code(0xC5, 8);  // length 258
    put_code(0, 5);     // distance 1
  }
  put_code(0, 7);  // end of block
  put(0, 7);
  return "\x78\x01" + bits_out + std::string(4, '\0');
}

TEST(HostileText, CompressedTextIsUnpackedToALimitOnly) {
  using namespace std::string_view_literals;
  const std::string bomb = zlib_bomb(200000);  // 51 MB out of 325 kB
  EXPECT_LT(bomb.size(), 400000U);
  EXPECT_EQ(text_in(png_with(png_chunk("zTXt", std::string("parameters\0\0"sv) + bomb))), "(none)");
}

TEST(HostileText, JpegSegmentsThatLie) {
  const std::string exif = exif_with_comment("text");
  const std::string good = "\xff\xe1" + big_endian(exif.size() + 2, 2) + exif;
  EXPECT_EQ(text_in("\xff\xd8" + good), "text");
  EXPECT_EQ(text_in("\xff\xd8\xff\xff\xff" + good), "text");  // fill bytes
  EXPECT_EQ(text_in("\xff\xd8\xff\xe0" + big_endian(4, 2) + "ab" + good), "text");
  EXPECT_EQ(text_in("\xff\xd8\xff\xe0" + big_endian(0, 2) + good), "(none)");
  EXPECT_EQ(text_in("\xff\xd8\xff\xe1" + big_endian(0xFFFF, 2) + exif), "(none)");
  EXPECT_EQ(text_in("\xff\xd8\xff\xda" + good), "(none)");  // pixels come first
  EXPECT_EQ(text_in("\xff\xd8\xff" + std::string(1000, '\xff')), "(none)");
}

TEST(HostileText, WebpChunksThatLie) {
  const std::string exif = exif_with_comment("text");
  const std::string head = "RIFF" + little_endian(100, 4) + "WEBP";
  EXPECT_EQ(text_in(head + "EXIF" + little_endian(exif.size(), 4) + exif), "text");
  EXPECT_EQ(text_in(head + "EXIF" + little_endian(exif.size() + 1, 4) + exif), "(none)");
  EXPECT_EQ(text_in(head + "VP8 " + little_endian(0xFFFFFFFFU, 4) + exif), "(none)");
  // An odd chunk is padded.
  EXPECT_EQ(text_in(head + "abcd" + little_endian(1, 4) + std::string("x\0", 2) + "EXIF" +
                    little_endian(exif.size(), 4) + exif),
            "text");
}

/// Offsets in the block that exif_with_comment() makes, behind its mark.
constexpr size_t kMark = 6, kFirstDirectory = 4, kExifPointer = 8 + 2 + 8,
                 kCommentSize = 26 + 2 + 4;

TEST(HostileText, ExifOffsetsThatLie) {
  const std::string good = exif_with_comment("text");
  EXPECT_EQ(read_exif_comment(good), "text");
  for (const size_t field : {kFirstDirectory, kExifPointer, kCommentSize, kCommentSize + 4}) {
    for (const uint32_t value : {0U, 7U, 8U, 0x7FFFFFFFU, 0xFFFFFFF0U, 0xFFFFFFFFU}) {
      std::string lying = good;
      lying.replace(kMark + field, 4, big_endian(value, 4));
      if (lying == good) continue;
      EXPECT_NE(read_exif_comment(lying), "text") << field << " " << value;
    }
  }
}

TEST(HostileText, ExifDirectoryThatPointsToItself) {
  std::string block = exif_with_comment("text");
  block.replace(kMark + kExifPointer, 4, big_endian(8, 4));
  EXPECT_EQ(read_exif_comment(block), std::nullopt);
}

TEST(HostileText, ExifWithCountlessEntriesEnds) {
  std::string block = exif_with_comment("text");
  block.replace(kMark + 8, 4, std::string("\xff\xff\0\0", 4));  // count, first tag
  EXPECT_EQ(read_exif_comment(block), std::nullopt);
}

TEST(HostileText, LoneSurrogatesAreReplaced) {
  const std::string good = exif_with_comment("ab");
  std::string high = good, low = good;
  EXPECT_EQ(read_exif_comment(high.replace(good.size() - 4, 2, std::string("\xD8\0", 2))),
            kReplacement + "b");
  EXPECT_EQ(read_exif_comment(low.replace(good.size() - 4, 2, std::string("\xDC\0", 2))),
            kReplacement + "b");
  std::string end = good;
  end.replace(good.size() - 2, 2, std::string("\xD8\0", 2));
  EXPECT_EQ(read_exif_comment(end), "a" + kReplacement);
}

TEST(HostileText, OtherCharacterCodesAreLeftAlone) {
  std::string block = exif_with_comment("text");
  block.replace(block.find("UNICODE"), 8, std::string("JIS\0\0\0\0\0", 8));
  EXPECT_EQ(read_exif_comment(block), std::nullopt);
}

}  // namespace
}  // namespace safelight::image
