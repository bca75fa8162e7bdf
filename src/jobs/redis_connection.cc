#include "jobs/redis_connection.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <poll.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <vector>

namespace safelight::jobs {
namespace {

constexpr int kKeepAliveSeconds = 15;

timeval to_timeval(int64_t milliseconds) {
  return {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
}

const char* or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

bool is_address(const std::string& host) {
  return host.find_first_not_of("0123456789.") == std::string::npos ||
         host.find(':') != std::string::npos;
}

Error unreachable(const std::string& label, std::string_view why) {
  return Error{ErrorCode::kUnavailable,
               fmt::format("broker {}: {}. Is redis-server running there, and does its address "
                           "take connections from this machine?",
                           label, why)};
}

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using OwnedReply = std::unique_ptr<redisReply, FreeReply>;

}  // namespace

Result<std::shared_ptr<const RedisTls>> RedisTls::make(const RedisLink& link) {
  // The name for SNI must not be an address (RFC 6066, section 3); the one to verify may be.
  const std::string& host = link.target.host;
  redisSSLOptions options{
      .cacert_filename = or_null(link.ca_file),
      .capath = nullptr,
      .cert_filename = or_null(link.certificate),
      .private_key_filename = or_null(link.key),
      .server_name = is_address(host) ? nullptr : host.c_str(),
      .verify_mode = link.verify ? REDIS_SSL_VERIFY_PEER : REDIS_SSL_VERIFY_NONE,
      .verify_name = link.verify ? host.c_str() : nullptr,
  };
  redisInitOpenSSL();
  redisSSLContextError error = REDIS_SSL_CTX_NONE;
  redisSSLContext* context = redisCreateSSLContextWithOptions(&options, &error);
  if (context == nullptr) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("broker {}: TLS: {} (CA file '{}', certificate '{}', key '{}'); "
                             "expected PEM files",
                             link.target.label(), redisSSLContextGetError(error), link.ca_file,
                             link.certificate, link.key)};
  }
  return std::shared_ptr<const RedisTls>(new RedisTls(context));
}

RedisTls::~RedisTls() { redisFreeSSLContext(context_); }

RedisConnection::RedisConnection(redisContext* context, std::shared_ptr<const RedisTls> tls,
                                 std::string label)
    : context_(context), tls_(std::move(tls)), label_(std::move(label)) {}

RedisConnection::~RedisConnection() { redisFree(context_); }

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(
    const RedisLink& link, std::shared_ptr<const RedisTls> tls) {
  const timeval connect = to_timeval(link.connect_ms), answer = to_timeval(link.answer_ms);
  redisOptions options{};
  REDIS_OPTIONS_SET_TCP(&options, link.target.host.c_str(), link.target.port);
  options.connect_timeout = &connect;
  options.command_timeout = &answer;
  const std::string label = link.target.label();
  redisContext* context = redisConnectWithOptions(&options);
  if (context == nullptr) throw std::bad_alloc();
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context, std::move(tls), label));
  if (context->err != 0) return unreachable(label, context->errstr);
  redisEnableKeepAliveWithInterval(context, kKeepAliveSeconds);
  if (connection->tls_ &&
      redisInitiateSSLWithContext(context, connection->tls_->context()) != REDIS_OK) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("broker {}: TLS: {}. Does the server speak TLS on that port, and did "
                             "the CA file's authority sign its certificate for '{}'?",
                             label, context->errstr, link.target.host)};
  }
  if (auto greeted = connection->greet(link.target); !greeted) return greeted.error();
  return connection;
}

Status RedisConnection::greet(const RedisTarget& target) {
  const auto expect_ok = [&](std::vector<std::string_view> words) -> Status {
    auto reply = call(words);
    if (!reply) return reply.error();
    if (reply->kind != RedisReply::Kind::kError) return {};
    Error error = broker_error(label_, reply->text);
    if (!is_passing(reply->text)) error.code = ErrorCode::kUnauthenticated;
    return error;
  };
  if (!target.user.empty()) {
    if (auto done = expect_ok({"AUTH", target.user, target.password}); !done) return done;
  } else if (!target.password.empty()) {
    if (auto done = expect_ok({"AUTH", target.password}); !done) return done;
  }
  if (target.database != 0) {
    return expect_ok({"SELECT", std::to_string(target.database)});
  }
  return expect_ok({"PING"});
}

Error RedisConnection::broken(std::string_view doing) const {
  const bool late = context_->err == REDIS_ERR_TIMEOUT ||
                    (context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK));
  return unreachable(
      label_, fmt::format("{} failed: {}", doing, late ? "it did not answer" : context_->errstr));
}

Status RedisConnection::send(std::span<const std::string_view> words) {
  std::vector<const char*> data(words.size());
  std::vector<size_t> sizes(words.size());
  for (size_t i = 0; i < words.size(); i++) {
    data[i] = words[i].data() == nullptr ? "" : words[i].data();
    sizes[i] = words[i].size();
  }
  if (redisAppendCommandArgv(context_, static_cast<int>(words.size()), data.data(), sizes.data()) !=
      REDIS_OK) {
    return broken(words.front());
  }
  for (int done = 0; done == 0;) {
    if (redisBufferWrite(context_, &done) != REDIS_OK) return broken(words.front());
  }
  return {};
}

Result<RedisReply> RedisConnection::call(std::span<const std::string_view> words) {
  if (auto sent = send(words); !sent) return sent.error();
  void* reply = nullptr;
  if (redisGetReply(context_, &reply) != REDIS_OK) return broken(words.front());
  return copy_reply(*OwnedReply(static_cast<redisReply*>(reply)));
}

Result<std::optional<RedisReply>> RedisConnection::receive(int64_t wait_ms, int wake_fd) {
  for (bool waited = false;; waited = true) {
    void* reply = nullptr;
    if (redisGetReplyFromReader(context_, &reply) != REDIS_OK) return broken("reading");
    if (reply != nullptr) {
      return std::optional(copy_reply(*OwnedReply(static_cast<redisReply*>(reply))));
    }
    std::array<pollfd, 2> fds{pollfd{.fd = context_->fd, .events = POLLIN, .revents = 0},
                              pollfd{.fd = wake_fd, .events = POLLIN, .revents = 0}};
    const int ready = poll(fds.data(), fds.size(), waited ? 0 : static_cast<int>(wait_ms));
    if (ready < 0 && errno != EINTR) return broken("waiting");
    if (ready <= 0 || fds[0].revents == 0) return std::optional<RedisReply>();
    if (redisBufferRead(context_) != REDIS_OK) return broken("reading");
  }
}

Error broker_error(const std::string& label, std::string_view reply) {
  const auto begins = [&](std::string_view word) { return reply.substr(0, word.size()) == word; };
  const auto error = [&](ErrorCode code, std::string_view remedy) {
    return Error{code,
                 fmt::format("broker {} answered '{}'{}", label, reply.substr(0, 200), remedy)};
  };
  if (begins("MISCONF") || begins("ERR Errors writing to the AOF"))
    return error(ErrorCode::kIo, ": it cannot write to its disk; make room there");
  if (begins("OOM"))
    return error(ErrorCode::kUnavailable, ": it is full; raise its maxmemory or set a retention");
  if (begins("NOAUTH") || begins("WRONGPASS"))
    return error(ErrorCode::kUnavailable, ": give user and password in the broker's URL");
  if (begins("NOPERM"))
    return error(ErrorCode::kUnavailable, ": its user needs that command in the server's ACL");
  if (begins("READONLY"))
    return error(ErrorCode::kUnavailable, ": it is a replica; give the address of the primary");
  return error(ErrorCode::kUnavailable, "");
}

bool is_passing(std::string_view reply) {
  return reply.substr(0, 7) == "LOADING" || reply.substr(0, 4) == "BUSY" ||
         reply.substr(0, 8) == "TRYAGAIN" || reply.substr(0, 10) == "MASTERDOWN";
}

}  // namespace safelight::jobs
