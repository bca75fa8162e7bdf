#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/secrets.h"
#include "http/auth/rate_limiter.h"

namespace safelight::http {

/// Who signed in on the login page, until they sign out, stay away or the server ends. Any thread.
class SessionTable {
 public:
  SessionTable(std::chrono::seconds lifetime, std::chrono::seconds idle, size_t limit = 10'000)
      : lifetime_(lifetime), idle_(idle), limit_(limit) {}

  struct Session {
    std::string user;    ///< name of a user; or
    std::string key_id;  ///< id of the API key that signed in
    Secret csrf;         ///< what requests that change something must repeat in X-CSRF-Token
    Instant opened{}, used{};
  };

  /// Opens one; the token is for the client's cookie and kept here as its hash alone. A user with
  /// many sessions loses the one that was used longest ago, and so does the whole table when full.
  std::string open(std::string user, std::string key_id, Instant now);
  /// The session of a token, which is used by that; nothing once it is over.
  std::optional<Session> use(std::string_view token, Instant now);
  void close(std::string_view token);
  size_t size() const;

 private:
  bool over(const Session& session, Instant now) const;

  const std::chrono::seconds lifetime_, idle_;
  const size_t limit_;
  mutable std::mutex mutex_;
  std::map<std::string, Session> by_digest_;  ///< by SHA-256 of the token
};

}  // namespace safelight::http
