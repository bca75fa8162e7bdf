#include <spng.h>

#include <cstdlib>
#include <memory>

#include "image/format_codecs.h"
#include "image/text_chunks.h"

namespace safelight::image {
namespace {

struct SpngFree {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Spng = std::unique_ptr<spng_ctx, SpngFree>;

/// Deflate cannot pack a byte into less than 1/1032: a shorter file does not hold its picture.
constexpr size_t kMostPacked = 1032;

spng_ihdr header_of(const Image& image) {
  spng_ihdr header{};
  header.width = static_cast<uint32_t>(image.width);
  header.height = static_cast<uint32_t>(image.height);
  header.bit_depth = 8;
  header.color_type = image.channels == 1   ? SPNG_COLOR_TYPE_GRAYSCALE
                      : image.channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR
                                            : SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
  return header;
}

/// Bytes that the file's pixels have before packing, at least.
size_t raw_size(const spng_ihdr& header) {
  const size_t samples = header.color_type == SPNG_COLOR_TYPE_TRUECOLOR         ? 3
                         : header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ? 4
                         : header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ? 2
                                                                                : 1;
  return size_t{header.width} * header.height * samples * header.bit_depth / 8;
}

}  // namespace

Result<std::string> encode_png(const Image& image, const EncodeOptions& options) {
  const Spng context(spng_ctx_new(SPNG_CTX_ENCODER));
  spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_set_option(context.get(), SPNG_IMG_COMPRESSION_LEVEL, options.compression);
  spng_ihdr header = header_of(image);
  spng_set_ihdr(context.get(), &header);
  int failure = spng_encode_image(context.get(), image.pixels.data(), image.pixels.size(),
                                  SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  size_t size = 0;
  const std::unique_ptr<void, decltype(&std::free)> data(
      failure ? nullptr : spng_get_png_buffer(context.get(), &size, &failure), &std::free);
  if (!data) {
    return Error{ErrorCode::kInternal,
                 fmt::format("libspng could not encode: {}", spng_strerror(failure))};
  }
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
  if (const int failure = spng_get_ihdr(context.get(), &header)) {
    return corrupt("PNG", spng_strerror(failure));
  }
  if (Status good = check_size(header.width, header.height); !good) return good.error();
  if (raw_size(header) / kMostPacked > file.size()) {
    return corrupt("PNG", fmt::format("its {} bytes are too few for {} x {} pixels", file.size(),
                                      header.width, header.height));
  }
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

}  // namespace safelight::image
