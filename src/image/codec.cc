#include "image/codec.h"

#include <fmt/format.h>
#include <jpeglib.h>
#include <spng.h>
#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "image/exif.h"
#include "image/text_chunks.h"

namespace safelight::image {
namespace {

struct FormatEntry {
  Format format;
  std::string_view name, extension, alias;
};

constexpr std::array kFormats = {FormatEntry{Format::kPng, "png", ".png", "png"},
                                 FormatEntry{Format::kJpeg, "jpeg", ".jpg", "jpg"},
                                 FormatEntry{Format::kWebp, "webp", ".webp", "webp"}};

Error corrupt(std::string_view format, std::string_view cause) {
  return {ErrorCode::kCorruptFile, fmt::format("this {} cannot be read: {}", format, cause)};
}

Status check_size(int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      width * height > kMaxPixels) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("the picture is {} x {}; at most {} a side and {} pixels in all are taken",
                    width, height, kMaxSide, kMaxPixels)};
  }
  return {};
}

struct SpngFree {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Spng = std::unique_ptr<spng_ctx, SpngFree>;

Result<std::string> encode_png(const Image& image, const EncodeOptions& options) {
  const Spng context(spng_ctx_new(SPNG_CTX_ENCODER));
  spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_set_option(context.get(), SPNG_IMG_COMPRESSION_LEVEL, options.compression);
  spng_ihdr header{};
  header.width = static_cast<uint32_t>(image.width);
  header.height = static_cast<uint32_t>(image.height);
  header.bit_depth = 8;
  header.color_type = image.channels == 1   ? SPNG_COLOR_TYPE_GRAYSCALE
                      : image.channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR
                                            : SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
  spng_set_ihdr(context.get(), &header);
  int failure = spng_encode_image(context.get(), image.pixels.data(), image.pixels.size(),
                                  SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  size_t size = 0;
  std::unique_ptr<void, decltype(&std::free)> data(
      spng_get_png_buffer(context.get(), &size, &failure), &std::free);
  if (!data)
    return Error{ErrorCode::kInternal,
                 fmt::format("libspng could not encode: {}", spng_strerror(failure))};
  std::string file(static_cast<const char*>(data.get()), size);
  if (!options.parameters.empty()) insert_png_text(file, "parameters", options.parameters);
  return file;
}

Result<Image> decode_png(Bytes file) {
  const Spng context(spng_ctx_new(0));
  spng_set_image_limits(context.get(), kMaxSide, kMaxSide);
  spng_set_chunk_limits(context.get(), size_t{1} << 26, size_t{1} << 27);
  spng_set_png_buffer(context.get(), file.data(), file.size());
  spng_ihdr header{};
  if (const int failure = spng_get_ihdr(context.get(), &header))
    return corrupt("PNG", spng_strerror(failure));
  if (Status good = check_size(header.width, header.height); !good) return good.error();
  const bool alpha = header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
                     header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
  const int format = alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8;
  Image image{static_cast<int>(header.width), static_cast<int>(header.height), alpha ? 4 : 3, {}};
  size_t size = 0;
  if (const int failure = spng_decoded_image_size(context.get(), format, &size)) {
    return corrupt("PNG", spng_strerror(failure));
  }
  image.pixels.resize(size);
  if (const int failure = spng_decode_image(context.get(), image.pixels.data(), size, format, 0)) {
    return corrupt("PNG", spng_strerror(failure));
  }
  return image;
}

/// libjpeg reports errors through this; its own default would end the process.
struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;

  template <class Info>
  void install(Info& info) {
    info.err = jpeg_std_error(&manager);
    manager.error_exit = [](j_common_ptr common) {
      auto* errors = reinterpret_cast<JpegErrors*>(common->err);
      common->err->format_message(common, errors->message.data());
      std::longjmp(errors->jump, 1);
    };
    manager.output_message = [](j_common_ptr) {};
  }
};

Result<std::string> encode_jpeg(const Image& image, const EncodeOptions& options) {
  if (image.channels == 4) {
    return Error{ErrorCode::kInvalidArgument, "JPEG holds no transparency; use PNG or WebP"};
  }
  const std::string exif = options.parameters.empty() ? "" : exif_with_comment(options.parameters);
  if (exif.size() > 65533) {
    return Error{ErrorCode::kInvalidArgument,
                 "the generation text is too long for JPEG; use PNG or WebP"};
  }
  jpeg_compress_struct info{};
  JpegErrors errors{};
  unsigned char* data = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's type
  errors.install(info);
  if (setjmp(errors.jump)) {
    jpeg_destroy_compress(&info);
    std::free(data);
    return Error{ErrorCode::kInternal,
                 fmt::format("libjpeg could not encode: {}", errors.message.data())};
  }
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, options.quality, TRUE);
  if (options.quality >= 90) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  if (!exif.empty()) {
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  }
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * image.row_bytes());
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string file(reinterpret_cast<const char*>(data), size);
  std::free(data);
  return file;
}

Result<Image> decode_jpeg(Bytes file) {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  Image image;
  errors.install(info);
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&info);
    return corrupt("JPEG", errors.message.data());
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&info, TRUE);
  if (Status good = check_size(info.image_width, info.image_height); !good) {
    jpeg_destroy_decompress(&info);
    return good.error();
  }
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  image = {static_cast<int>(info.output_width), static_cast<int>(info.output_height), 3, {}};
  image.pixels.resize(image.row_bytes() * static_cast<size_t>(image.height));
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = image.pixels.data() + info.output_scanline * image.row_bytes();
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return image;
}

struct MuxFree {
  void operator()(WebPMux* mux) const { WebPMuxDelete(mux); }
};

/// The WebP file with an EXIF chunk.
Result<std::string> with_webp_exif(const std::string& file, const std::string& exif) {
  const WebPData whole{reinterpret_cast<const uint8_t*>(file.data()), file.size()};
  const std::unique_ptr<WebPMux, MuxFree> mux(WebPMuxCreate(&whole, 1));
  const WebPData chunk{reinterpret_cast<const uint8_t*>(exif.data()), exif.size()};
  WebPData assembled{};
  if (!mux || WebPMuxSetChunk(mux.get(), "EXIF", &chunk, 1) != WEBP_MUX_OK ||
      WebPMuxAssemble(mux.get(), &assembled) != WEBP_MUX_OK) {
    return Error{ErrorCode::kInternal, "libwebpmux could not add the generation text"};
  }
  std::string result(reinterpret_cast<const char*>(assembled.bytes), assembled.size);
  WebPDataClear(&assembled);
  return result;
}

Result<std::string> encode_webp(const Image& image, const EncodeOptions& options) {
  if (image.width > WEBP_MAX_DIMENSION || image.height > WEBP_MAX_DIMENSION) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("WebP holds at most {} pixels a side; use PNG", WEBP_MAX_DIMENSION)};
  }
  if (image.channels == 1)
    return Error{ErrorCode::kInvalidArgument, "WebP holds no grey pictures; use PNG or JPEG"};
  const auto stride = static_cast<int>(image.row_bytes());
  const bool lossless = options.quality >= 100, alpha = image.channels == 4;
  const auto quality = static_cast<float>(options.quality);
  uint8_t* data = nullptr;
  size_t size = 0;
  if (lossless) {
    size = (alpha ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB)(
        image.pixels.data(), image.width, image.height, stride, &data);
  } else {
    size = (alpha ? WebPEncodeRGBA : WebPEncodeRGB)(image.pixels.data(), image.width, image.height,
                                                    stride, quality, &data);
  }
  std::unique_ptr<uint8_t, decltype(&WebPFree)> held(data, &WebPFree);
  if (size == 0) return Error{ErrorCode::kInternal, "libwebp could not encode the picture"};
  std::string file(reinterpret_cast<const char*>(data), size);
  return options.parameters.empty() ? Result<std::string>(std::move(file))
                                    : with_webp_exif(file, exif_with_comment(options.parameters));
}

Result<Image> decode_webp(Bytes file) {
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(data, file.size(), &features) != VP8_STATUS_OK)
    return corrupt("WebP", "its header is damaged");
  if (Status good = check_size(features.width, features.height); !good) return good.error();
  Image image{features.width, features.height, features.has_alpha ? 4 : 3, {}};
  image.pixels.resize(image.row_bytes() * static_cast<size_t>(image.height));
  const auto stride = static_cast<int>(image.row_bytes());
  const auto decode_into = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode_into(data, file.size(), image.pixels.data(), image.pixels.size(), stride)) {
    return corrupt("WebP", "its pixels are damaged");
  }
  return image;
}

}  // namespace

std::string_view format_name(Format format) { return kFormats[static_cast<size_t>(format)].name; }
std::string_view format_extension(Format format) {
  return kFormats[static_cast<size_t>(format)].extension;
}

Result<Format> find_format(std::string_view name) {
  std::string wanted = ascii_lower(name);
  if (wanted.starts_with('.')) wanted.erase(0, 1);
  for (const FormatEntry& entry : kFormats) {
    if (wanted == entry.name || wanted == entry.alias) return entry.format;
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("picture format '{}' is unknown; use png, jpg or webp", name)};
}

std::optional<Format> sniff_format(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return Format::kPng;
  if (text.starts_with("\xff\xd8\xff")) return Format::kJpeg;
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP")
    return Format::kWebp;
  return std::nullopt;
}

Result<std::string> encode(const Image& image, const EncodeOptions& options) {
  if (Status good = check_size(image.width, image.height); !good) return good.error();
  if (options.quality < 1 || options.quality > 100) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("quality is {}; 1 to 100 are possible", options.quality)};
  }
  switch (options.format) {
    case Format::kJpeg:
      return encode_jpeg(image, options);
    case Format::kWebp:
      return encode_webp(image, options);
    default:
      return encode_png(image, options);
  }
}

Result<Image> decode(Bytes file) {
  const std::optional<Format> format = sniff_format(file);
  if (!format) return Error{ErrorCode::kUnsupported, "this is no PNG, JPEG or WebP file"};
  switch (*format) {
    case Format::kJpeg:
      return decode_jpeg(file);
    case Format::kWebp:
      return decode_webp(file);
    default:
      return decode_png(file);
  }
}

}  // namespace safelight::image
