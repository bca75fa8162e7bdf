#include "jobs/redis_pool.h"

#include <algorithm>
#include <thread>

namespace safelight::jobs {
namespace {

constexpr std::chrono::milliseconds kFirstPause(20), kLongestPause(500);

}  // namespace

RedisPool::RedisPool(RedisLink link, std::shared_ptr<const RedisTls> tls, size_t connections,
                     int64_t retry_ms)
    : link_(std::move(link)), tls_(std::move(tls)), retry_(retry_ms), free_(connections) {}

Result<std::shared_ptr<RedisPool>> RedisPool::make(RedisLink link, size_t connections,
                                                   int64_t retry_ms) {
  std::shared_ptr<const RedisTls> tls;
  if (link.target.tls) {
    auto made = RedisTls::make(link);
    if (!made) return made.error();
    tls = *made;
  }
  return std::shared_ptr<RedisPool>(
      new RedisPool(std::move(link), std::move(tls), connections, retry_ms));
}

Result<std::unique_ptr<RedisConnection>> RedisPool::connect() const {
  return RedisConnection::open(link_, tls_);
}

Result<std::unique_ptr<RedisConnection>> RedisPool::take() {
  std::unique_lock lock(mutex_);
  given_.wait(lock, [&] { return free_ > 0; });
  free_--;
  if (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
  }
  lock.unlock();
  auto opened = connect();
  if (!opened) give(nullptr);
  return opened;
}

void RedisPool::give(std::unique_ptr<RedisConnection> connection) {
  {
    const std::lock_guard lock(mutex_);
    free_++;
    if (connection) {
      idle_.push_back(std::move(connection));
    } else {
      idle_.clear();  // made before what broke this one: as likely broken
    }
  }
  given_.notify_one();
}

Result<RedisReply> RedisPool::call_once(const std::vector<std::string_view>& words) {
  auto connection = take();
  if (!connection) return connection.error();
  auto reply = (*connection)->call(words);
  give(reply ? *std::move(connection) : nullptr);
  return reply;
}

bool RedisPool::may_try_again(std::chrono::milliseconds pause) {
  const std::lock_guard lock(mutex_);
  if (!down_since_) down_since_ = Clock::now();
  return Clock::now() + pause <= *down_since_ + retry_;
}

Result<RedisReply> RedisPool::answer(const std::vector<std::string_view>& words) {
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    auto reply = call_once(words);
    if (!reply && reply.error().code == ErrorCode::kUnauthenticated) {
      return Error{ErrorCode::kUnavailable, reply.error().message};  // not the client's credentials
    }
    const bool waits =
        !reply || (reply->kind == RedisReply::Kind::kError && is_passing(reply->text));
    if (!waits) {
      const std::lock_guard lock(mutex_);
      down_since_.reset();
    }
    if (!waits || !may_try_again(pause)) return reply;
    std::this_thread::sleep_for(pause);
  }
}

Result<RedisReply> RedisPool::checked(Result<RedisReply> reply) const {
  if (reply && reply->kind == RedisReply::Kind::kError) return broker_error(label(), reply->text);
  return reply;
}

Result<RedisReply> RedisPool::call(const std::vector<std::string_view>& words) {
  return checked(answer(words));
}

Result<RedisReply> RedisPool::run(const RedisScript& script, std::string_view key,
                                  const std::vector<std::string_view>& arguments) {
  std::vector<std::string_view> words{"EVALSHA", script.sha1(), "1", key};
  words.insert(words.end(), arguments.begin(), arguments.end());
  auto reply = answer(words);
  if (reply && reply->kind == RedisReply::Kind::kError && reply->text.starts_with("NOSCRIPT")) {
    words[0] = "EVAL";
    words[1] = script.source();
    reply = answer(words);
  }
  return checked(std::move(reply));
}

}  // namespace safelight::jobs
