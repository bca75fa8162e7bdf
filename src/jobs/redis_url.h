#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace safelight::jobs {

/// Where a Redis server is.
struct RedisTarget {
  bool tls = false;
  std::string host;
  int port = 6379;
  std::string user, password;  ///< empty: the default user, none
  int database = 0;

  /// For messages and logs: without user and password.
  std::string label() const;
};

/// Parses "redis://[[user]:password@]host[:port][/database]", or "rediss://..." for TLS. Errors:
/// kInvalidArgument; no message holds what stands before an '@'.
Result<RedisTarget> parse_redis_url(std::string_view url);

}  // namespace safelight::jobs
