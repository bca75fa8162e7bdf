#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace safelight {

/// `count` bytes from the system's random generator, for keys.
std::string random_bytes(size_t count);

/// 256 random bits as 43 characters that may stand in URLs, headers and cookies.
std::string random_token();

/// A value that is compared only in a time that does not tell how much of it was right.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  bool operator==(const Secret&) const = delete;
  /// An empty secret equals nothing.
  bool equals(std::string_view guess) const;
  /// For storing and sending it.
  const std::string& reveal() const { return value_; }

 private:
  std::string value_;
};

/// Argon2id of a password with a random salt, as the text "$argon2id$..."; takes about 0.1 s and
/// 64 MiB. Errors: kOutOfMemory.
Result<std::string> hash_password(std::string_view password);

/// Whether `hash`, made by hash_password() or the `argon2` program, is of this password. As slow as
/// making it.
bool check_password(const std::string& hash, std::string_view password);

/// Whether check_password() can use `hash` within 1 GiB and some seconds. Errors: kInvalidArgument
/// saying what is wrong with it.
Status check_password_hash(const std::string& hash);

}  // namespace safelight
