#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "api/principal.h"
#include "base/result.h"
#include "base/secrets.h"

namespace safelight::http {

/// An API key as it is kept: without the key. Times are seconds since the epoch.
struct KeyRecord {
  std::string id;    ///< the first digits of its hash
  std::string name;  ///< owner of the jobs that are submitted with it
  api::Role role = api::Role::kUser;
  Secret sha256;  ///< of the key's text, hexadecimal
  api::Quota quota;
  double per_minute = 0;  ///< requests; 0: as the server's other principals
  int64_t created = 0;
  int64_t expires = 0;    ///< 0: never
  int64_t last_used = 0;  ///< to within kTouchInterval; 0: never
  int64_t revoked = 0;    ///< 0: not revoked

  bool active(int64_t now) const { return revoked == 0 && (expires == 0 || now < expires); }
};

/// How old last_used may be before it is renewed.
constexpr int64_t kTouchInterval = 3600;

/// What all API keys begin with, so that people and secret scanners know one when they see it.
constexpr std::string_view kKeyPrefix = "sl_";

/// SHA-256 of a key's text, by which it is looked up.
std::string key_digest(std::string_view key);

/// The keys in `file`, oldest first; none where there is no file. Errors: kCorruptFile naming the
/// key and what is wrong with it; those of reading.
Result<std::vector<KeyRecord>> read_keys(const std::filesystem::path& file);

struct AddedKey {
  std::string key;  ///< its text, which is nowhere else
  KeyRecord record;
};
/// Makes a key of 256 random bits with what `wish` says. Errors: kInvalidArgument for a name that
/// cannot be used, kConflict where an active key has it; those of reading and writing.
Result<AddedKey> add_key(const std::filesystem::path& file, const KeyRecord& wish, int64_t now);

/// Revokes the active key of that name or id. Errors: kNotFound naming the nearest; those of
/// reading and writing.
Result<KeyRecord> revoke_key(const std::filesystem::path& file, std::string_view name_or_id,
                             int64_t now);

/// Writes down that a key was used.
Status touch_key(const std::filesystem::path& file, std::string_view id, int64_t now);

}  // namespace safelight::http
