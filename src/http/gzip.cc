#include "http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <new>

#include "base/text.h"

namespace safelight::http {

std::string gzip(std::string_view text, int level) {
  constexpr int kGzipWindow = 15 + 16;  // the largest window, with gzip's head and tail
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::string packed(deflateBound(&stream, text.size()), '\0');
  // zlib counts in 32 bits.
  constexpr size_t kMostAtOnce = size_t{1} << 30;
  size_t taken = 0, made = 0;
  int state = Z_OK;
  while (state == Z_OK) {
    const size_t in = std::min(text.size() - taken, kMostAtOnce);
    const size_t out = std::min(packed.size() - made, kMostAtOnce);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data() + taken));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(packed.data() + made);
    stream.avail_out = static_cast<uInt>(out);
    state = deflate(&stream, taken + in == text.size() ? Z_FINISH : Z_NO_FLUSH);
    taken += in - stream.avail_in;
    made += out - stream.avail_out;
  }
  deflateEnd(&stream);
  packed.resize(made);
  return packed;
}

bool accepts_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const size_t comma = std::min(accept_encoding.find(','), accept_encoding.size());
    std::string_view coding = accept_encoding.substr(0, comma);
    accept_encoding.remove_prefix(std::min(comma + 1, accept_encoding.size()));
    const size_t semicolon = std::min(coding.find(';'), coding.size());
    const std::string name = ascii_lower(trimmed(coding.substr(0, semicolon)));
    if (name != "gzip" && name != "*") continue;
    std::string_view quality = trimmed(coding.substr(std::min(semicolon + 1, coding.size())));
    if (!quality.starts_with("q=")) return true;
    quality.remove_prefix(2);
    double q = 0;
    std::from_chars(quality.data(), quality.data() + quality.size(), q);
    return q > 0;
  }
  return false;
}

bool is_compressible(std::string_view content_type) {
  const std::string type = ascii_lower(
      trimmed(content_type.substr(0, std::min(content_type.find(';'), content_type.size()))));
  return (type.starts_with("text/") && type != "text/event-stream") || type == "application/json" ||
         type == "application/javascript" || type == "application/xml" ||
         type == "application/wasm" || type == "image/svg+xml" || type.ends_with("+json");
}

}  // namespace safelight::http
