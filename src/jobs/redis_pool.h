#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "jobs/redis_connection.h"
#include "jobs/redis_scripts.h"

namespace safelight::jobs {

/// Connections to one Redis server, shared by threads. A call that breaks is sent again over a new
/// connection until `retry_ms` have passed, so that a restart of the server goes unnoticed; so what
/// is called must bear to be done twice. Any thread.
class RedisPool {
 public:
  /// Connects when first called. Errors: those of RedisTls.
  static Result<std::shared_ptr<RedisPool>> make(RedisLink link, size_t connections,
                                                 int64_t retry_ms);

  /// Errors: kUnavailable and kIo, for error replies too.
  Result<RedisReply> call(const std::vector<std::string_view>& words);
  /// Runs the script with its one key and these arguments.
  Result<RedisReply> run(const RedisScript& script, std::string_view key,
                         const std::vector<std::string_view>& arguments);
  /// A connection of the caller's own; no retries.
  Result<std::unique_ptr<RedisConnection>> connect() const;

  std::string label() const { return link_.target.label(); }

 private:
  using Clock = std::chrono::steady_clock;

  RedisPool(RedisLink link, std::shared_ptr<const RedisTls> tls, size_t connections,
            int64_t retry_ms);
  Result<RedisReply> call_once(const std::vector<std::string_view>& words);
  Result<std::unique_ptr<RedisConnection>> take();
  void give(std::unique_ptr<RedisConnection> connection);
  /// What came of it, error replies too, once it is not to be tried again.
  Result<RedisReply> answer(const std::vector<std::string_view>& words);
  Result<RedisReply> checked(Result<RedisReply> reply) const;
  /// Whether a call that failed just now may be sent again after `pause`. While the server is down
  /// for long calls fail at once.
  bool may_try_again(std::chrono::milliseconds pause);

  const RedisLink link_;
  const std::shared_ptr<const RedisTls> tls_;
  const std::chrono::milliseconds retry_;
  std::mutex mutex_;
  std::condition_variable given_;
  size_t free_;  ///< connections that may be taken or made
  std::vector<std::unique_ptr<RedisConnection>> idle_;
  std::optional<Clock::time_point> down_since_;  ///< when no call came through since
};

}  // namespace safelight::jobs
