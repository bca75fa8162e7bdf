#pragma once

#include <cstring>
#include <optional>
#include <string_view>

#include "base/file.h"

namespace safelight::weights {

/// Takes little-endian values from the front of bytes; what goes past their end gives nothing.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes, uint64_t at = 0)
      : bytes_(bytes), at_(at <= bytes.size() ? at : bytes.size()) {}

  uint64_t at() const { return at_; }
  uint64_t rest() const { return bytes_.size() - at_; }

  std::optional<Bytes> take(uint64_t size) {
    if (size > rest()) return std::nullopt;
    const Bytes part = bytes_.subspan(at_, size);
    at_ += size;
    return part;
  }

  template <class T>
  std::optional<T> number() {
    const auto part = take(sizeof(T));
    if (!part) return std::nullopt;
    T value;
    std::memcpy(&value, part->data(), sizeof(T));
    return value;
  }

  std::optional<std::string_view> text(uint64_t size) {
    const auto part = take(size);
    if (!part) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(part->data()), part->size());
  }

  /// Up to a newline, which is taken and left out.
  std::optional<std::string_view> line() {
    const std::string_view all(reinterpret_cast<const char*>(bytes_.data()) + at_, rest());
    const size_t end = all.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    at_ += end + 1;
    return all.substr(0, end);
  }

 private:
  Bytes bytes_;
  uint64_t at_;
};

}  // namespace safelight::weights
