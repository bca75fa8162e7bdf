// libjpeg reports errors by longjmp. Only call_guarded() meets the jump: bodies that it runs hold
// no object with a destructor, and what they change belongs to its callers.
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // libjpeg's header needs it

#include <jpeglib.h>

#include <jerror.h>

#include <array>

#include "image/exif.h"
#include "image/format_codecs.h"

namespace safelight::image {
namespace {

/// A progressive file of a few bytes a scan can ask for passes over all pixels without end.
constexpr int kMaxScans = 200;
constexpr int kFullChromaQuality = 90;

struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void fail(j_common_ptr common) {
  auto* errors = reinterpret_cast<JpegErrors*>(common->err);
  common->err->format_message(common, errors->message.data());
  std::longjmp(errors->jump, 1);
}

/// libjpeg fills what is missing with grey and goes on; to us a truncated file is an error.
void on_message(j_common_ptr common, int level) {
  const int code = common->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) fail(common);
}

template <class Info>
void install(Info& info, JpegErrors& errors) {
  info.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = fail;
  errors.manager.emit_message = on_message;
  errors.manager.output_message = [](j_common_ptr) {};
}

/// Runs `body`; false when libjpeg failed in it, with errors.message set.
template <class Body>
[[gnu::noinline]] bool call_guarded(JpegErrors& errors, const Body& body) {
  if (setjmp(errors.jump)) return false;
  body();
  return true;
}

/// Collects the file block by block.
struct JpegSink {
  jpeg_destination_mgr manager{};
  std::array<JOCTET, 65536> block{};
  std::string file;

  void reset_block() {
    manager.next_output_byte = block.data();
    manager.free_in_buffer = block.size();
  }
  void take(size_t count) { file.append(reinterpret_cast<const char*>(block.data()), count); }

  JpegSink() {
    manager.init_destination = [](j_compress_ptr each) { of(each).reset_block(); };
    manager.empty_output_buffer = [](j_compress_ptr each) -> boolean {
      of(each).take(of(each).block.size());
      of(each).reset_block();
      return TRUE;
    };
    manager.term_destination = [](j_compress_ptr each) {
      of(each).take(of(each).block.size() - of(each).manager.free_in_buffer);
    };
  }
  static JpegSink& of(j_compress_ptr info) { return *reinterpret_cast<JpegSink*>(info->dest); }
};

void compress(jpeg_compress_struct& info, const Image& image, int quality,
              const std::string& exif) {
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  if (quality >= kFullChromaQuality) {
    info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  }
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
}

void check_scans(j_common_ptr common) {
  const auto* info = reinterpret_cast<j_decompress_ptr>(common);
  if (info->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(common->err);
  std::snprintf(errors->message.data(), errors->message.size(), "it has more than %d scans",
                kMaxScans);
  std::longjmp(errors->jump, 1);
}

void read_rows(jpeg_decompress_struct& info, Image& image) {
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = image.pixels.data() + info.output_scanline * image.row_bytes();
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
}

/// Decodes with a decompressor that the caller destroys.
Result<Image> decompress(jpeg_decompress_struct& info, JpegErrors& errors, Bytes file) {
  jpeg_progress_mgr progress{};
  progress.progress_monitor = check_scans;
  const bool begun = call_guarded(errors, [&] {
    jpeg_create_decompress(&info);
    info.progress = &progress;
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&info, TRUE);
  });
  if (!begun) return corrupt("JPEG", errors.message.data());
  if (Status good = check_size(info.image_width, info.image_height); !good) return good.error();
  const bool started = call_guarded(errors, [&] {
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
  });
  if (!started) return corrupt("JPEG", errors.message.data());
  Image image{static_cast<int>(info.output_width), static_cast<int>(info.output_height), 3, {}};
  image.pixels.resize(image.row_bytes() * static_cast<size_t>(image.height));
  if (!call_guarded(errors, [&] { read_rows(info, image); })) {
    return corrupt("JPEG", errors.message.data());
  }
  return image;
}

}  // namespace

Result<std::string> encode_jpeg(const Image& image, const EncodeOptions& options) {
  const std::string exif = options.parameters.empty() ? "" : exif_with_comment(options.parameters);
  jpeg_compress_struct info{};
  JpegErrors errors{};
  install(info, errors);
  JpegSink sink;
  const bool done = call_guarded(errors, [&] {
    jpeg_create_compress(&info);
    info.dest = &sink.manager;
    compress(info, image, options.quality, exif);
  });
  jpeg_destroy_compress(&info);
  if (done) return std::move(sink.file);
  return Error{ErrorCode::kInternal,
               fmt::format("libjpeg could not encode: {}", errors.message.data())};
}

Result<Image> decode_jpeg(Bytes file) {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  install(info, errors);
  Result<Image> image = decompress(info, errors, file);
  jpeg_destroy_decompress(&info);
  return image;
}

}  // namespace safelight::image
