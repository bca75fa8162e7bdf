#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>

#include "image/exif.h"
#include "image/format_codecs.h"

namespace safelight::image {
namespace {

struct MuxFree {
  void operator()(WebPMux* mux) const { WebPMuxDelete(mux); }
};

/// The WebP file with an EXIF chunk.
Result<std::string> with_exif(const std::string& file, std::string_view exif) {
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

}  // namespace

Result<std::string> encode_webp(const Image& image, const EncodeOptions& options) {
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
  const std::unique_ptr<uint8_t, decltype(&WebPFree)> held(data, &WebPFree);
  if (size == 0) return Error{ErrorCode::kInternal, "libwebp could not encode the picture"};
  std::string file(reinterpret_cast<const char*>(data), size);
  if (options.parameters.empty()) return file;
  const std::string exif = exif_with_comment(options.parameters);
  return with_exif(file, without_exif_mark(exif));
}

Result<Image> decode_webp(Bytes file) {
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(data, file.size(), &features) != VP8_STATUS_OK) {
    return corrupt("WebP", "its header is damaged");
  }
  if (Status good = check_size(features.width, features.height); !good) return good.error();
  if (features.has_animation) {
    return Error{ErrorCode::kUnsupported, "this WebP is an animation; a still picture is needed"};
  }
  Image image{features.width, features.height, features.has_alpha ? 4 : 3, {}};
  image.pixels.resize(image.row_bytes() * static_cast<size_t>(image.height));
  const auto stride = static_cast<int>(image.row_bytes());
  const auto decode_into = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode_into(data, file.size(), image.pixels.data(), image.pixels.size(), stride)) {
    return corrupt("WebP", "its pixels are damaged");
  }
  return image;
}

}  // namespace safelight::image
