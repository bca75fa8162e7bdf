#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/auth/auth_settings.h"
#include "http/auth/rate_limiter.h"

namespace safelight::http {

/// Users and their passwords. Any thread.
class PasswordBook {
 public:
  /// Begins to hash what came as plain text, in the background, so that a server starts at once.
  /// Errors: kInvalidArgument for a name given twice or empty, and for hashes that cannot be used.
  static Result<std::unique_ptr<PasswordBook>> make(std::vector<UserSettings> users);

  bool empty() const { return users_.empty(); }
  /// Null for names that nobody has.
  const UserSettings* find(std::string_view name) const;

  /// Whether the user has this password: slow on purpose, for names that nobody has as well.
  /// Blocks.
  bool check(std::string_view name, std::string_view password);
  /// How many passwords were checked.
  int64_t checks() const { return checks_; }

  /// Whether the pair was right less than a minute ago. What is kept of it is a hash under a key
  /// that this process drew. Does not block.
  bool remembers(std::string_view name, std::string_view password, Instant now);
  void remember(std::string_view name, std::string_view password, Instant now);

 private:
  explicit PasswordBook(std::vector<UserSettings> users);
  std::string fingerprint(std::string_view name, std::string_view password) const;

  std::vector<UserSettings> users_;
  std::shared_future<std::vector<std::string>> hashes_;  ///< of users_, in their order
  std::atomic<int64_t> checks_ = 0;
  const std::string process_key_;
  std::mutex mutex_;
  std::map<std::string, Instant> remembered_;  ///< until when, by fingerprint
};

}  // namespace safelight::http
