#include "weights/messages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace safelight::weights {

std::string printable(std::string_view text, size_t limit) {
  const bool cut = text.size() > limit;
  size_t length = cut ? limit : text.size();
  const auto continues_character = [&](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  while (cut && length > 0 && continues_character(length)) --length;
  std::string shown(text.substr(0, length));
  for (char& c : shown) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7F) c = '?';
  }
  return cut ? shown + "..." : shown;
}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace safelight::weights
