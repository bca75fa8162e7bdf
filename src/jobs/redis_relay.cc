#include "jobs/redis_relay.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <system_error>

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSendPause(100), kFirstPause(50), kLongestPause(1000);
constexpr int64_t kSilenceMs = 3'000;  ///< then the server is asked whether it is there
constexpr size_t kMostUnsent = 256, kMostBegun = 4096;
constexpr std::string_view kEntries = "500";  ///< of the stream, read at once

/// Set while this thread publishes what came from elsewhere, so that it is not sent back.
thread_local bool from_elsewhere = false;

/// "milliseconds-number" of a stream's entry, to compare.
std::pair<uint64_t, uint64_t> stream_order(const std::string& id) {
  std::pair<uint64_t, uint64_t> order;
  const char* end = id.data() + id.size();
  const auto [dash, error] = std::from_chars(id.data(), end, order.first);
  if (error == std::errc() && dash != end) std::from_chars(dash + 1, end, order.second);
  return order;
}

}  // namespace

RedisRelay::RedisRelay(Service& service, std::shared_ptr<RedisStore> store)
    : service_(service),
      store_(std::move(store)),
      stream_(store_->prefix() + "stream"),
      channel_(store_->prefix() + "live"),
      wake_fd_(eventfd(0, EFD_CLOEXEC)) {
  if (wake_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  subscription_ = service_.hub().subscribe("", [this](const EventPtr& event) { keep(event); });
  sender_ = std::thread([this] { send_loop(); });
  listener_ = std::thread([this] { listen_loop(); });
}

RedisRelay::~RedisRelay() {
  subscription_.reset();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  waiting_.notify_all();
  const uint64_t one = 1;
  if (write(wake_fd_, &one, sizeof one) < 0) spdlog::warn("relay: cannot wake its thread");
  sender_.join();
  listener_.join();
  close(wake_fd_);
}

void RedisRelay::keep(const EventPtr& event) {
  if (from_elsewhere) return;
  const std::lock_guard lock(mutex_);
  if (event->kind == Event::Kind::kState) {
    // The store's script tells it, and what was before is past.
    std::erase_if(unsent_, [&](const EventPtr& old) { return old->job == event->job; });
    return;
  }
  const auto older = std::find_if(unsent_.begin(), unsent_.end(), [&](const EventPtr& old) {
    return old->job == event->job && old->kind == event->kind;
  });
  if (older != unsent_.end() && event->kind != Event::Kind::kPicture) {
    *older = event;
  } else if (unsent_.size() < kMostUnsent) {
    unsent_.push_back(event);
  }
  waiting_.notify_all();
}

void RedisRelay::send_loop() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    waiting_.wait(lock, [&] { return ending_ || !unsent_.empty(); });
    const auto batch = std::exchange(unsent_, {});
    lock.unlock();
    for (const EventPtr& event : batch) {
      const LiveEvent live{.origin = store_->origin(), .event = *event};
      const auto sent = store_->pool().call({"PUBLISH", channel_, to_bytes(live)});
      if (!sent) spdlog::debug("relay: an event is lost: {}", sent.error().message);
    }
    lock.lock();
    waiting_.wait_for(lock, kSendPause, [&] { return ending_.load(); });
  }
}

void RedisRelay::listen_loop() {
  auto pause = kFirstPause;
  while (!ending_) {
    const auto begun = std::chrono::steady_clock::now();
    const Status broken = listen();
    if (ending_) return;
    if (!broken) spdlog::warn("relay: {}; connecting again", broken.error().message);
    const bool worked = std::chrono::steady_clock::now() - begun > kLongestPause;
    pause = worked ? kFirstPause : std::min(2 * pause, kLongestPause);
    std::unique_lock lock(mutex_);
    waiting_.wait_for(lock, pause, [&] { return ending_.load(); });
  }
}

Status RedisRelay::listen() {
  auto opened = store_->pool().connect();
  if (!opened) return opened.error();
  RedisConnection& connection = **opened;
  const std::string_view subscribe[] = {"SUBSCRIBE", channel_}, ping[] = {"PING"};
  auto reply = connection.call(subscribe);
  if (!reply) return reply.error();
  if (reply->kind == RedisReply::Kind::kError) {
    return broker_error(store_->pool().label(), reply->text);
  }
  const bool first = last_id_.empty();
  const auto gap = first ? false : missed();
  if (!gap) return gap.error();
  if (auto read = first ? skip_to_end() : catch_up(); !read) return read;
  if (*gap) ask_again();
  service_.work_came();  // there may be some since before
  for (bool asked = false; !ending_;) {
    auto message = connection.receive(kSilenceMs, wake_fd_);
    if (!message) return message.error();
    if (!*message) {
      if (asked) return Error{ErrorCode::kUnavailable, "the broker is silent"};
      if (auto sent = connection.send(ping); !sent) return sent;
      asked = true;
      continue;
    }
    asked = false;
    const RedisReply& event = **message;
    if (!event.as_array(3) || event.items[0].text != "message") continue;  // of PING
    if (event.items[2].text.empty()) {
      if (auto read = catch_up(); !read) return read;
    } else {
      take(event.items[2].text);
    }
  }
  return {};
}

Status RedisRelay::skip_to_end() {
  auto reply = store_->pool().call({"XREVRANGE", stream_, "+", "-", "COUNT", "1"});
  if (!reply) return reply.error();
  if (auto list = reply->as_array(0); !list) return list.error();
  last_id_ = "0-0";
  if (reply->items.empty()) return {};
  if (auto entry = reply->items[0].as_array(1); !entry) return entry.error();
  last_id_ = reply->items[0].items[0].text;
  return {};
}

Result<bool> RedisRelay::missed() {
  auto reply = store_->pool().call({"XRANGE", stream_, "-", "+", "COUNT", "1"});
  if (!reply) return reply.error();
  if (auto list = reply->as_array(1); !list) return true;  // it is gone
  if (auto entry = reply->items[0].as_array(1); !entry) return entry.error();
  return last_id_ != "0-0" && stream_order(reply->items[0].items[0].text) > stream_order(last_id_);
}

void RedisRelay::ask_again() {
  for (const auto& [id, live] : service_.hub().unfinished()) {
    const auto job = store_->find(id);
    if (!job || job->state == live.state) continue;
    publish({.kind = Event::Kind::kState,
             .job = id,
             .owner = job->asked.owner,
             .state = job->state,
             .detail = job->error ? job->error->message : ""});
  }
}

Status RedisRelay::catch_up() {
  for (bool more = true; more;) {
    auto reply = store_->pool().call({"XRANGE", stream_, "(" + last_id_, "+", "COUNT", kEntries});
    if (!reply) return reply.error();
    if (auto list = reply->as_array(0); !list) return list.error();
    for (const RedisReply& item : reply->items) {
      if (auto pair = item.as_array(2); !pair) return pair.error();
      last_id_ = item.items[0].text;  // one that is not understood is not read again
      if (auto entry = stream_entry_from(item)) {
        take(*entry);
      } else {
        spdlog::warn("relay: {}", entry.error().message);
      }
    }
    more = !reply->items.empty();
  }
  if (std::exchange(work_came_, false)) service_.work_came();
  return {};
}

void RedisRelay::take(const StreamEntry& entry) {
  if (entry.origin == store_->origin()) return;
  if (entry.cancel != CancelMode::kNone) {
    service_.cancel_came(entry.job, entry.cancel);
  } else if (entry.state && !is_past(*entry.state)) {
    learn(*entry.state);
    work_came_ = work_came_ || entry.state->state == State::kQueued;
    publish(*entry.state);
  }
}

bool RedisRelay::is_past(const Event& event) {
  const auto progress_of = [](State state) {
    return is_final(state) ? 2 : static_cast<int>(state == State::kRunning);
  };
  const auto known = service_.hub().live(event.job);
  if (!known || progress_of(event.state) >= progress_of(known->state)) return false;
  const auto job = store_->find(event.job);
  return !job || job->state != event.state;
}

void RedisRelay::take(std::string_view message) {
  auto live = live_event_from(message);
  if (!live) {
    spdlog::warn("relay: {}", live.error().message);
    return;
  }
  if (live->origin == store_->origin()) return;
  // It was told on another way than the end of its job, and may come after it.
  const auto known = service_.hub().live(live->event.job);
  if (known && is_final(known->state)) return;
  if (live->event.kind == Event::Kind::kProgress && begun_.size() < kMostBegun)
    begun_.try_emplace(live->event.job, now());
  publish(std::move(live->event));
}

void RedisRelay::publish(Event event) {
  from_elsewhere = true;
  service_.hub().publish(std::move(event));
  from_elsewhere = false;
}

void RedisRelay::learn(const Event& event) {
  const auto begun = begun_.find(event.job);
  if (begun == begun_.end() || event.state == State::kRunning) return;
  if (event.state == State::kSucceeded) {
    if (const auto job = store_->find(event.job)) {
      service_.eta().learn(job->asked.request, static_cast<double>(now() - begun->second) / 1e3);
    }
  }
  begun_.erase(begun);
}

}  // namespace safelight::jobs
