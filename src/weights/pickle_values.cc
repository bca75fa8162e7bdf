#include "weights/pickle_values.h"

#include <bit>
#include <charconv>
#include <string_view>

namespace safelight::weights {
namespace {

using Kind = Pickle::Kind;
using Value = std::optional<Pickle::Node>;

// pickletools.py, by the forms of their arguments.
constexpr std::string_view kSimple = "N\x88\x89";
constexpr std::string_view kBinaryNumbers = "JKMG\x8a\x8b";
constexpr std::string_view kLines = "ILFSV";
constexpr std::string_view kSizedTexts = "\x8cUXT\x8d";
constexpr std::string_view kSizedBytes = "\x43\x42\x8e\x96";

bool is_in(std::string_view opcodes, uint8_t opcode) {
  return opcodes.find(static_cast<char>(opcode)) != std::string_view::npos;
}

Value simple(uint8_t opcode) {
  if (opcode == 'N') return Pickle::Node{.kind = Kind::kNone};
  return Pickle::Node{.kind = Kind::kBool, .integer = opcode == 0x88};
}

template <class T>
Value whole_number(ByteReader& in) {
  const auto value = in.number<T>();
  if (!value) return std::nullopt;
  return Pickle::Node{.kind = Kind::kInt, .integer = *value};
}

template <class Length>
Value text(Kind kind, ByteReader& in) {
  const auto length = in.number<Length>();
  const auto bytes = length ? in.text(*length) : std::nullopt;
  if (!bytes) return std::nullopt;
  return Pickle::Node{.kind = kind, .text = *bytes};
}

/// Little-endian, in two's complement; more than 64 bits stay bytes.
Value long_number(Value digits) {
  if (!digits || digits->text.size() > sizeof(int64_t)) return digits;
  const std::string_view bytes = digits->text;
  uint64_t value = !bytes.empty() && (bytes.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return Pickle::Node{.kind = Kind::kInt, .integer = static_cast<int64_t>(value)};
}

Value binary_number(uint8_t opcode, ByteReader& in) {
  switch (opcode) {
    case 'J':
      return whole_number<int32_t>(in);
    case 'K':
      return whole_number<uint8_t>(in);
    case 'M':
      return whole_number<uint16_t>(in);
    case 0x8a:  // LONG1
      return long_number(text<uint8_t>(Kind::kBytes, in));
    case 0x8b:  // LONG4
      return long_number(text<uint32_t>(Kind::kBytes, in));
    default: {  // G, big-endian
      const auto bits = in.number<uint64_t>();
      if (!bits) return std::nullopt;
      return Pickle::Node{.kind = Kind::kFloat,
                          .real = std::bit_cast<double>(__builtin_bswap64(*bits))};
    }
  }
}

/// A number that fills the text; nothing for other text.
template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc() && read.ptr == end ? std::optional(value) : std::nullopt;
}

Value line(uint8_t opcode, ByteReader& in) {
  auto found = in.line();
  if (!found) return std::nullopt;
  std::string_view text = *found;
  if (opcode == 'V') return Pickle::Node{.kind = Kind::kText, .text = text};
  if (opcode == 'S') {
    const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                        (text.front() == '\'' || text.front() == '"');
    if (!quoted) return std::nullopt;
    return Pickle::Node{.kind = Kind::kText, .text = text.substr(1, text.size() - 2)};
  }
  if (opcode == 'F') {
    const auto value = parse<double>(text);
    if (!value) return std::nullopt;
    return Pickle::Node{.kind = Kind::kFloat, .real = *value};
  }
  if (opcode == 'I' && (text == "00" || text == "01"))
    return Pickle::Node{.kind = Kind::kBool, .integer = text == "01"};
  if (text.ends_with('L')) text.remove_suffix(1);
  if (const auto value = parse<int64_t>(text))
    return Pickle::Node{.kind = Kind::kInt, .integer = *value};
  return Pickle::Node{.kind = Kind::kBytes, .text = text};
}

Value sized(uint8_t opcode, ByteReader& in) {
  const Kind kind = is_in(kSizedTexts, opcode) ? Kind::kText : Kind::kBytes;
  switch (opcode) {
    case 0x8c:  // SHORT_BINUNICODE
    case 'U':   // SHORT_BINSTRING
    case 'C':   // SHORT_BINBYTES
      return text<uint8_t>(kind, in);
    case 'X':  // BINUNICODE
    case 'T':  // BINSTRING
    case 'B':  // BINBYTES
      return text<uint32_t>(kind, in);
    default:  // BINUNICODE8, BINBYTES8, BYTEARRAY8
      return text<uint64_t>(kind, in);
  }
}

}  // namespace

bool is_pickle_value(uint8_t opcode) {
  for (const std::string_view opcodes :
       {kSimple, kBinaryNumbers, kLines, kSizedTexts, kSizedBytes}) {
    if (is_in(opcodes, opcode)) return true;
  }
  return false;
}

Value read_pickle_value(uint8_t opcode, ByteReader& in) {
  if (is_in(kSimple, opcode)) return simple(opcode);
  if (is_in(kBinaryNumbers, opcode)) return binary_number(opcode, in);
  if (is_in(kLines, opcode)) return line(opcode, in);
  return sized(opcode, in);
}

}  // namespace safelight::weights
