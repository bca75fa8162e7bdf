#include "http/event_feed.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <mutex>

namespace safelight::http {
namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

/// From this many waiting events on, the reader counts as slow.
constexpr size_t kSlow = 32;
/// How far back an older one is looked for; bounds the work on the publishing thread.
constexpr size_t kLookBack = 256;
/// The most that wait; beyond it only changes of state are taken, up to twice as many.
constexpr size_t kMost = 4096;
/// How often a wait for a job looks whether its client is still there, and into the store in case
/// that an event did not come (a broker that was away).
constexpr milliseconds kLook{500}, kStoreLook{15'000};

bool replaceable(jobs::Event::Kind kind) {
  return kind == jobs::Event::Kind::kProgress || kind == jobs::Event::Kind::kPreview;
}

}  // namespace

/// Shared by the reader and by listeners, which may still run when the reader has gone.
struct EventFeed::State : std::enable_shared_from_this<EventFeed::State> {
  explicit State(const asio::any_io_executor& executor) : timer(executor) {}

  std::mutex mutex;
  std::deque<jobs::EventPtr> waiting;
  bool reading = false;  ///< the reader sleeps and is to be woken
  bool lost = false;
  asio::steady_timer timer;  ///< of the reader's executor alone

  void push(const jobs::EventPtr& event) {
    const std::lock_guard lock(mutex);
    if (lost) return;
    if (replaceable(event->kind)) {
      if (waiting.size() >= kSlow) drop_older(*event);
      if (waiting.size() >= kMost) return;
    } else if (waiting.size() >= 2 * kMost) {
      lost = true;
      waiting.clear();
    }
    if (!lost) waiting.push_back(event);
    if (reading) {
      reading = false;
      asio::post(timer.get_executor(), [self = shared_from_this()] { self->timer.cancel(); });
    }
  }

  void drop_older(const jobs::Event& event) {
    const auto end =
        waiting.rbegin() + static_cast<std::ptrdiff_t>(std::min(waiting.size(), kLookBack));
    const auto older = std::find_if(waiting.rbegin(), end, [&](const jobs::EventPtr& other) {
      return other->kind == event.kind && other->job == event.job;
    });
    if (older != end) waiting.erase(std::next(older).base());
  }

  /// The first waiting event. Else null, and the next one wakes the reader if it will sleep.
  jobs::EventPtr pop(bool sleep) {
    const std::lock_guard lock(mutex);
    if (waiting.empty()) {
      reading = sleep && !lost;
      return nullptr;
    }
    jobs::EventPtr event = std::move(waiting.front());
    waiting.pop_front();
    return event;
  }
};

EventFeed::EventFeed(jobs::EventHub& hub, const std::string& job,
                     const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(executor)),
      subscription_(hub.subscribe(
          job, [state = state_](const jobs::EventPtr& event) { state->push(event); })) {}

EventFeed::~EventFeed() {
  subscription_.reset();
  const std::lock_guard lock(state_->mutex);
  state_->reading = false;
}

bool EventFeed::lost() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lost;
}

Awaitable<jobs::EventPtr> EventFeed::next(milliseconds timeout) {
  const auto end = Clock::now() + timeout;
  for (;;) {
    // Set before `reading`: what wakes this reader runs on its executor, after the wait has begun.
    state_->timer.expires_at(end);
    const bool sleep = Clock::now() < end;
    jobs::EventPtr event = state_->pop(sleep);
    if (event != nullptr || !sleep || lost()) co_return event;
    co_await state_->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

Awaitable<jobs::State> wait_for_end(Exchange& exchange, jobs::Service& service,
                                    const std::string& job, milliseconds timeout) {
  // Subscribed before the first look: an end between the two is seen by one of them.
  EventFeed feed(service.hub(), job, co_await asio::this_coro::executor);
  const auto begin = Clock::now();
  jobs::State state = jobs::State::kFailed;
  auto store_look = begin;
  const auto live = service.hub().live(job);
  if (live) {
    state = live->state;
    store_look += kStoreLook;
  }
  for (;;) {
    const auto now = Clock::now();
    if (now >= store_look) {
      const auto stored = co_await exchange.blocking([&] { return service.store().find(job); });
      if (stored) {
        state = stored->state;
      } else if (stored.error().code == ErrorCode::kNotFound) {
        co_return jobs::State::kFailed;
      }
      store_look = now + kStoreLook;
    }
    if (jobs::is_final(state) || !exchange.connected()) co_return state;
    const auto left = timeout - std::chrono::duration_cast<milliseconds>(now - begin);
    if (timeout.count() > 0 && left.count() <= 0) co_return state;
    const jobs::EventPtr event =
        co_await feed.next(timeout.count() > 0 ? std::min(left, kLook) : kLook);
    if (event != nullptr && event->kind == jobs::Event::Kind::kState) state = event->state;
  }
}

}  // namespace safelight::http
