#include "jobs/ulid.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace safelight::jobs {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kLength = 26;
constexpr size_t kTimeBytes = 6;
constexpr unsigned kBitsPerDigit = 5;
using UlidBytes = std::array<uint8_t, 16>;

/// The digits hold 130 bits; the first two of them are 0.
std::string to_text(const UlidBytes& bytes) {
  std::string text(kLength, '0');
  unsigned __int128 rest = 0;
  for (const uint8_t byte : bytes) rest = rest << 8 | byte;
  for (size_t i = kLength; i-- > 0; rest >>= kBitsPerDigit) {
    text[i] = kDigits[static_cast<size_t>(rest & (kDigits.size() - 1))];
  }
  return text;
}

/// All zeros for what is no ULID.
UlidBytes from_text(std::string_view text) {
  UlidBytes bytes{};
  if (text.size() != kLength || text[0] > '7') return bytes;
  unsigned __int128 value = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return bytes;
    value = value << kBitsPerDigit | digit;
  }
  for (size_t i = bytes.size(); i-- > 0; value >>= 8) bytes[i] = static_cast<uint8_t>(value);
  return bytes;
}

UlidBytes random_at(Time time) {
  UlidBytes bytes{};
  for (size_t i = 0; i < kTimeBytes; ++i) {
    bytes[kTimeBytes - 1 - i] = static_cast<uint8_t>(time >> (8 * i));
  }
  constexpr ssize_t kRandomBytes = bytes.size() - kTimeBytes;
  if (::getrandom(bytes.data() + kTimeBytes, kRandomBytes, 0) != kRandomBytes) {
    throw std::runtime_error("the system gives no random bytes");
  }
  return bytes;
}

}  // namespace

void UlidGenerator::follow(std::string_view id) {
  const std::lock_guard lock(mutex_);
  last_ = std::max(last_, from_text(id));
}

std::string UlidGenerator::next(Time time) {
  const std::lock_guard lock(mutex_);
  UlidBytes bytes = random_at(time);
  if (std::memcmp(bytes.data(), last_.data(), kTimeBytes) <= 0) {
    bytes = last_;
    for (size_t i = bytes.size(); i-- > 0;) {
      if (++bytes[i] != 0) break;
    }
  }
  last_ = bytes;
  return to_text(bytes);
}

}  // namespace safelight::jobs
