#include "base/secrets.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <cstdio>
#include <new>

#include "base/hash.h"

namespace safelight {
namespace {

// Below it, the generator's first use is not safe from several threads.
void init_sodium() {
  static const int kReady = sodium_init();
  if (kReady < 0) throw std::bad_alloc();
}

}  // namespace

std::string random_bytes(size_t count) {
  init_sodium();
  std::string bytes(count, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

std::string random_token() {
  constexpr size_t kBytes = 32;
  constexpr int kForm = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  const std::string bytes = random_bytes(kBytes);
  std::array<char, sodium_base64_ENCODED_LEN(kBytes, kForm)> text{};
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), kForm);
  return text.data();
}

bool Secret::equals(std::string_view guess) const {
  return !value_.empty() && equal_secrets(value_, guess);
}

Result<std::string> hash_password(std::string_view password) {
  init_sodium();
  std::array<char, crypto_pwhash_STRBYTES> text{};
  const int failed = crypto_pwhash_str_alg(
      text.data(), password.data(), password.size(), crypto_pwhash_OPSLIMIT_INTERACTIVE,
      crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13);
  if (failed != 0)
    return Error{ErrorCode::kOutOfMemory, "hashing a password needs 64 MiB of memory"};
  return std::string(text.data());
}

bool check_password(const std::string& hash, std::string_view password) {
  init_sodium();
  return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

Status check_password_hash(const std::string& hash) {
  const auto fault = [](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument, "a password's hash " + what};
  };
  if (hash.size() >= crypto_pwhash_STRBYTES)
    return fault(fmt::format("has {} characters; at most {} are read", hash.size(),
                             crypto_pwhash_STRBYTES - 1));
  unsigned kibibytes = 0, passes = 0, lanes = 0;
  int parsed = 0;
  const int fields = std::sscanf(hash.c_str(), "$argon2id$v=19$m=%9u,t=%9u,p=%9u$%n", &kibibytes,
                                 &passes, &lanes, &parsed);
  if (fields != 3 || parsed == 0)
    return fault(
        "must begin as \"$argon2id$v=19$m=65536,t=2,p=1$\", as 'safelight keys "
        "hash-password' prints it");
  constexpr unsigned kMostKibibytes = 1U << 20;
  constexpr unsigned kMostPasses = 16;
  if (kibibytes > kMostKibibytes || passes > kMostPasses || lanes != 1)
    return fault(fmt::format("asks for m={}, t={}, p={}; at most m={}, t={} and p=1 are used",
                             kibibytes, passes, lanes, kMostKibibytes, kMostPasses));
  return {};
}

}  // namespace safelight
