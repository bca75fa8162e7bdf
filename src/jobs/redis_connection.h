#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jobs/redis_reply.h"
#include "jobs/redis_url.h"

struct redisContext;
struct redisSSLContext;

namespace safelight::jobs {

/// How to reach a Redis server.
struct RedisLink {
  RedisTarget target;
  std::string ca_file;           ///< PEM, for rediss://; empty: the system's
  std::string certificate, key;  ///< PEM files that the server may ask for; empty: none
  bool verify = true;            ///< the server's certificate and its name
  int64_t connect_ms = 2'000;    ///< longest wait for a connection
  int64_t answer_ms = 5'000;     ///< and for each part of an answer
};

/// Keys and certificates for TLS, read once. Any thread.
class RedisTls {
 public:
  /// Errors: kInvalidArgument naming what cannot be read.
  static Result<std::shared_ptr<const RedisTls>> make(const RedisLink& link);
  ~RedisTls();
  RedisTls(const RedisTls&) = delete;
  RedisTls& operator=(const RedisTls&) = delete;

  redisSSLContext* context() const { return context_; }

 private:
  explicit RedisTls(redisSSLContext* context) : context_(context) {}
  redisSSLContext* context_;
};

/// One connection, greeted and in its database. For one thread at a time. Once broken it stays so.
class RedisConnection {
 public:
  /// `tls` is null for redis://. Errors: kUnavailable with the remedy; they name the server's
  /// address but no password.
  static Result<std::unique_ptr<RedisConnection>> open(const RedisLink& link,
                                                       std::shared_ptr<const RedisTls> tls);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  /// Sends a command and waits for its answer, which may be of kError. Errors: kUnavailable when
  /// the connection broke: whether the server did it is not known.
  Result<RedisReply> call(std::span<const std::string_view> words);

  // For channels: what comes without being asked for.
  Status send(std::span<const std::string_view> words);
  /// The next message, or nothing after `wait_ms` or once `wake_fd` can be read.
  Result<std::optional<RedisReply>> receive(int64_t wait_ms, int wake_fd);

 private:
  RedisConnection(redisContext* context, std::shared_ptr<const RedisTls> tls, std::string label);
  Status greet(const RedisTarget& target);
  Error broken(std::string_view doing) const;

  redisContext* context_;
  std::shared_ptr<const RedisTls> tls_;
  std::string label_;
};

/// What an error reply means for people.
Error broker_error(const std::string& label, std::string_view reply);
/// Whether the server will do it in a moment: it starts, or a script still runs.
bool is_passing(std::string_view error_reply);

}  // namespace safelight::jobs
