#include "image/text_chunks.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

namespace safelight::image {
namespace {

constexpr size_t kSignature = 8, kChunkFrame = 12;  // length, type, CRC
constexpr size_t kMaxText = size_t{1} << 24;        // of a compressed text, unpacked

std::string big_endian(uint32_t value) {
  std::string bytes(4, '\0');
  for (int i = 0; i < 4; ++i)
    bytes[static_cast<size_t>(i)] = static_cast<char>(value >> (24 - 8 * i));
  return bytes;
}

uint32_t read_big_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

std::string chunk(std::string_view type, const std::string& data) {
  std::string body = std::string(type) + data;
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<uint32_t>(data.size())) + body +
         big_endian(static_cast<uint32_t>(crc));
}

std::optional<std::string> inflate_text(std::string_view packed) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  std::vector<char> block(65536);
  int state = Z_OK;
  while (state == Z_OK && text.size() < kMaxText) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    state = inflate(&stream, Z_NO_FLUSH);
    text.append(block.data(), block.size() - stream.avail_out);
    if (stream.avail_in == 0 && state == Z_OK && stream.avail_out != 0) break;
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) return std::nullopt;
  return text;
}

/// Splits at the first zero byte; nothing where there is none.
std::optional<std::string_view> take_field(std::string_view& data) {
  const size_t end = data.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view field = data.substr(0, end);
  data.remove_prefix(end + 1);
  return field;
}

std::optional<std::string> itxt_text(std::string_view data) {
  if (data.size() < 2) return std::nullopt;
  const bool compressed = data[0] == 1;
  data.remove_prefix(2);
  if (!take_field(data) || !take_field(data)) return std::nullopt;  // language, translated keyword
  return compressed ? inflate_text(data) : std::string(data);
}

/// The text of a text chunk under that key.
std::optional<std::string> text_of(std::string_view type, std::string_view data,
                                   std::string_view key) {
  if (type != "tEXt" && type != "zTXt" && type != "iTXt") return std::nullopt;
  const std::optional<std::string_view> found = take_field(data);
  if (!found || *found != key) return std::nullopt;
  if (type == "iTXt") return itxt_text(data);
  if (type == "tEXt") return from_latin1(data);
  if (data.empty() || data[0] != 0) return std::nullopt;
  const std::optional<std::string> text = inflate_text(data.substr(1));
  if (!text) return std::nullopt;
  return from_latin1(*text);
}

}  // namespace

std::optional<std::string> to_latin1(std::string_view utf8) {
  std::string latin1;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<uint8_t>(utf8[i]);
    if (c < 0x80) {
      latin1 += utf8[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < utf8.size()) {
      latin1 += static_cast<char>((c & 3) << 6 | (static_cast<uint8_t>(utf8[++i]) & 0x3F));
    } else {
      return std::nullopt;
    }
  }
  return latin1;
}

std::string from_latin1(std::string_view latin1) {
  std::string utf8;
  for (const char c : latin1) {
    const auto code = static_cast<uint8_t>(c);
    if (code < 0x80) {
      utf8 += c;
    } else {
      utf8 += static_cast<char>(0xC0 | code >> 6);
      utf8 += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return utf8;
}

void insert_png_text(std::string& file, std::string_view key, std::string_view text) {
  const std::string zero(1, '\0');
  const std::optional<std::string> latin1 = to_latin1(text);
  // tEXt cannot hold a zero byte; iTXt cannot either, but UTF-8 text from a request has none.
  const std::string written =
      latin1 ? chunk("tEXt", std::string(key) + zero + *latin1)
             : chunk("iTXt", std::string(key) + zero + std::string(4, '\0') + std::string(text));
  const size_t header_end = kSignature + kChunkFrame + 13;  // behind IHDR, which comes first
  file.insert(header_end, written);
}

std::optional<std::string> read_png_text(Bytes file, std::string_view key) {
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  size_t at = kSignature;
  while (at + kChunkFrame <= all.size()) {
    const uint32_t size = read_big_endian(all.substr(at, 4));
    if (size > all.size() - at - kChunkFrame) return std::nullopt;
    if (auto text = text_of(all.substr(at + 4, 4), all.substr(at + 8, size), key)) return text;
    at += kChunkFrame + size;
  }
  return std::nullopt;
}

}  // namespace safelight::image
