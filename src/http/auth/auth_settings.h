#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/principal.h"
#include "base/result.h"

namespace safelight::http {

/// Somebody who signs in with a password.
struct UserSettings {
  std::string name;
  std::string password;  ///< as it is, or its argon2id hash ("$argon2id$...")
  api::Role role = api::Role::kAdmin;
  api::Quota quota;
};

/// Who may reach the server, and how often. Filled from flags and the settings file.
struct AuthSettings {
  std::string address = "127.0.0.1";  ///< that the server is bound to
  uint16_t port = 7860;
  std::vector<UserSettings> users;
  std::filesystem::path keys_file;  ///< <data_dir>/keys.json; need not exist
  bool always = false;              ///< ask for credentials also on loopback without users and keys

  std::vector<std::string> allowed_hosts;  ///< names in the Host header, besides the obvious ones
  std::vector<std::string> cors_origins;   ///< pages elsewhere that may call: "https://host:port"

  /// Requests a minute of a principal, and of an address; 0: no limit. When not given: 300 where
  /// credentials are asked for, else no limit.
  std::optional<double> rate_per_minute;
  double wrong_passwords_per_minute = 10;  ///< of an address
  std::chrono::milliseconds wrong_password_delay{500};

  std::chrono::seconds session_lifetime{14 * 24 * 3600};
  std::chrono::seconds session_idle{24 * 3600};
};

/// The users of `--auth`, "user:password[,user2:password2...]", all administrators as in SD.Next.
/// Errors: kInvalidArgument telling which entry is wrong, without its text.
Result<std::vector<UserSettings>> parse_users(std::string_view text);

/// The same for the lines of an `--auth-file`; empty lines and those that begin with # are left
/// out, and a line "user:$argon2id$..." is one user. Errors: those of parse_users and of reading.
Result<std::vector<UserSettings>> read_auth_file(const std::filesystem::path& path);

}  // namespace safelight::http
