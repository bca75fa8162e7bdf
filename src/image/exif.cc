#include "image/exif.h"

#include <cstdint>

namespace safelight::image {
namespace {

constexpr std::string_view kExifMark{"Exif\0\0", 6};
constexpr std::string_view kUnicodeMark{"UNICODE\0", 8};
constexpr std::string_view kAsciiMark{"ASCII\0\0\0", 8};
constexpr std::string_view kUndefinedMark{"\0\0\0\0\0\0\0\0", 8};
constexpr uint16_t kExifIfd = 0x8769, kUserComment = 0x9286, kLong = 4, kUndefined = 7;

void put16(std::string& out, uint32_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

void put32(std::string& out, uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xFFFF);
}

/// The next code point of UTF-8; damaged bytes give U+FFFD.
char32_t next_code_point(std::string_view text, size_t& at) {
  const auto first = static_cast<uint8_t>(text[at++]);
  if (first < 0x80) return first;
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  char32_t code = first & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if (at >= text.size() || (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80) return 0xFFFD;
    code = code << 6 | (static_cast<uint8_t>(text[at++]) & 0x3F);
  }
  return first < 0xC0 || code > 0x10FFFF ? 0xFFFD : code;
}

void append_utf8(std::string& out, char32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::string utf16_big_endian(std::string_view utf8) {
  std::string out;
  for (size_t at = 0; at < utf8.size();) {
    const char32_t code = next_code_point(utf8, at);
    if (code < 0x10000) {
      put16(out, code);
    } else {
      put16(out, 0xD800 + ((code - 0x10000) >> 10));
      put16(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return out;
}

/// Reads numbers of a TIFF structure in its byte order; zero outside it.
class Tiff {
 public:
  Tiff(std::string_view data, bool little) : data_(data), little_(little) {}

  uint32_t u16(size_t at) const { return number(at, 2); }
  uint32_t u32(size_t at) const { return number(at, 4); }
  std::optional<std::string_view> part(size_t at, size_t size) const {
    if (at > data_.size() || size > data_.size() - at) return std::nullopt;
    return data_.substr(at, size);
  }

  /// The offset of the entry with that tag in the directory at `ifd`; 0 where there is none.
  size_t entry(size_t ifd, uint16_t tag) const {
    const uint32_t count = u16(ifd);
    for (uint32_t i = 0; i < count; ++i) {
      const size_t at = ifd + 2 + 12 * size_t{i};
      if (!part(at, 12)) return 0;
      if (u16(at) == tag) return at;
    }
    return 0;
  }

 private:
  uint32_t number(size_t at, size_t size) const {
    const std::optional<std::string_view> bytes = part(at, size);
    if (!bytes) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value = value << 8 | static_cast<uint8_t>((*bytes)[little_ ? size - 1 - i : i]);
    return value;
  }

  std::string_view data_;
  bool little_;
};

/// Whether more units of UTF-16 are ASCII in little-endian order than in big-endian order.
bool looks_little(std::string_view bytes) {
  size_t little = 0, big = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto a = static_cast<uint8_t>(bytes[i]), b = static_cast<uint8_t>(bytes[i + 1]);
    little += b == 0 && a != 0 && a < 0x80;
    big += a == 0 && b != 0 && b < 0x80;
  }
  return little > big;
}

std::string from_utf16(std::string_view bytes, bool little_structure) {
  const bool little = bytes.starts_with("\xff\xfe") ||
                      (little_structure && !bytes.starts_with("\xfe\xff") && looks_little(bytes));
  std::string out;
  char32_t high = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto a = static_cast<uint8_t>(bytes[i]), b = static_cast<uint8_t>(bytes[i + 1]);
    const char32_t unit = little ? (b << 8 | a) : (a << 8 | b);
    if (unit == 0xFEFF && i == 0) continue;
    if (unit >= 0xDC00 && unit < 0xE000 && high) {
      append_utf8(out, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
      high = 0;
      continue;
    }
    if (high) append_utf8(out, 0xFFFD);
    high = unit >= 0xD800 && unit < 0xDC00 ? unit : 0;
    if (!high) append_utf8(out, unit >= 0xDC00 && unit < 0xE000 ? 0xFFFD : unit);
  }
  if (high) append_utf8(out, 0xFFFD);
  return out;
}

std::optional<std::string_view> jpeg_exif(std::string_view file) {
  size_t at = 2;
  while (at + 4 <= file.size() && static_cast<uint8_t>(file[at]) == 0xFF) {
    const auto marker = static_cast<uint8_t>(file[at + 1]);
    if (marker == 0xFF) {  // any number of these may stand before a marker
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) break;  // pixels begin
    const size_t size =
        size_t{static_cast<uint8_t>(file[at + 2])} << 8 | static_cast<uint8_t>(file[at + 3]);
    if (size < 2 || size > file.size() - at - 2) break;
    const std::string_view body = file.substr(at + 4, size - 2);
    if (marker == 0xE1 && body.starts_with(kExifMark)) return body;
    at += 2 + size;
  }
  return std::nullopt;
}

std::optional<std::string_view> webp_exif(std::string_view file) {
  size_t at = 12;
  while (at + 8 <= file.size()) {
    size_t size = 0;
    for (size_t i = 4; i-- > 0;) size = size << 8 | static_cast<uint8_t>(file[at + 4 + i]);
    if (size > file.size() - at - 8) break;
    if (file.substr(at, 4) == "EXIF") return file.substr(at + 8, size);
    at += 8 + size + (size & 1);
  }
  return std::nullopt;
}

}  // namespace

std::string exif_with_comment(std::string_view utf8) {
  const std::string comment = std::string(kUnicodeMark) + utf16_big_endian(utf8);
  std::string tiff = "MM";
  put16(tiff, 42);
  put32(tiff, 8);  // the first directory: one entry that points to the EXIF directory
  put16(tiff, 1);
  put16(tiff, kExifIfd);
  put16(tiff, kLong);
  put32(tiff, 1);
  put32(tiff, 26);
  put32(tiff, 0);
  put16(tiff, 1);  // the EXIF directory at 26: the comment, which follows at 44
  put16(tiff, kUserComment);
  put16(tiff, kUndefined);
  put32(tiff, static_cast<uint32_t>(comment.size()));
  put32(tiff, 44);
  put32(tiff, 0);
  return std::string(kExifMark) + tiff + comment;
}

std::string_view without_exif_mark(std::string_view exif) {
  if (exif.starts_with(kExifMark)) exif.remove_prefix(kExifMark.size());
  return exif;
}

std::optional<std::string> read_exif_comment(std::string_view exif) {
  exif = without_exif_mark(exif);
  if (!exif.starts_with("II") && !exif.starts_with("MM")) return std::nullopt;
  const bool little = exif[0] == 'I';
  const Tiff tiff(exif, little);
  const size_t pointer = tiff.entry(tiff.u32(4), kExifIfd);
  const size_t entry = pointer ? tiff.entry(tiff.u32(pointer + 8), kUserComment) : 0;
  if (!entry) return std::nullopt;
  const std::optional<std::string_view> comment =
      tiff.part(tiff.u32(entry + 8), tiff.u32(entry + 4));
  if (!comment || comment->size() < 8) return std::nullopt;
  const std::string_view body = comment->substr(8);
  if (comment->starts_with(kUnicodeMark)) return from_utf16(body, little);
  if (comment->starts_with(kAsciiMark) || comment->starts_with(kUndefinedMark)) {
    return std::string(body.substr(0, body.find('\0')));
  }
  return std::nullopt;
}

std::optional<std::string_view> find_exif(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  return text.starts_with("RIFF") ? webp_exif(text) : jpeg_exif(text);
}

}  // namespace safelight::image
