#include "http/event_feed.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <thread>

#include "fake_exchange.h"

namespace safelight::http {
namespace {

using namespace std::chrono_literals;
using jobs::Event;
using Kind = Event::Kind;

Event event(Kind kind, const std::string& job, int64_t step = 0,
            jobs::State state = jobs::State::kRunning) {
  return {.kind = kind, .job = job, .state = state, .progress = {.step = step, .steps = 100}};
}

std::string kind_letters(const std::vector<jobs::EventPtr>& events) {
  std::string letters;
  for (const auto& e : events) letters += "SPVI"[static_cast<int>(e->kind)];
  return letters;
}

/// All events that wait in the feed.
Awaitable<std::vector<jobs::EventPtr>> drain(EventFeed& feed) {
  std::vector<jobs::EventPtr> events;
  while (jobs::EventPtr next = co_await feed.next(0ms)) events.push_back(next);
  co_return events;
}

TEST(EventFeed, BringsEventsInOrder) {
  jobs::EventHub hub;
  run([&]() -> Awaitable<void> {
    EventFeed feed(hub, "a", co_await boost::asio::this_coro::executor);
    hub.publish(event(Kind::kState, "a"));
    hub.publish(event(Kind::kProgress, "b", 1));
    hub.publish(event(Kind::kProgress, "a", 1));
    hub.publish(event(Kind::kProgress, "a", 2));
    const auto events = co_await drain(feed);
    EXPECT_EQ(kind_letters(events), "SPP");
    EXPECT_EQ(events.back()->progress.step, 2);
  }());
}

TEST(EventFeed, WaitsForTheTimeoutAndNoLonger) {
  jobs::EventHub hub;
  run([&]() -> Awaitable<void> {
    EventFeed feed(hub, "", co_await boost::asio::this_coro::executor);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(co_await feed.next(30ms), nullptr);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  }());
}

TEST(EventFeed, ASlowReaderGetsTheLatestProgressAndEveryState) {
  jobs::EventHub hub;
  run([&]() -> Awaitable<void> {
    EventFeed feed(hub, "", co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 1000; ++i) {
      if (i % 100 == 0) hub.publish(event(Kind::kState, "a"));
      hub.publish(event(Kind::kProgress, "a", i));
      hub.publish(event(Kind::kPreview, "a", i));
    }
    const auto events = co_await drain(feed);
    EXPECT_LE(events.size(), 50U);
    EXPECT_EQ(std::count_if(events.begin(), events.end(),
                            [](const auto& e) { return e->kind == Kind::kState; }),
              10);
    EXPECT_EQ(events.back()->progress.step, 999);
    EXPECT_TRUE(std::is_sorted(events.begin(), events.end(), [](const auto& a, const auto& b) {
      return a->sequence < b->sequence;
    }));
    EXPECT_FALSE(feed.lost());
  }());
}

TEST(EventFeed, IsBoundedAndSaysSo) {
  jobs::EventHub hub;
  run([&]() -> Awaitable<void> {
    EventFeed feed(hub, "", co_await boost::asio::this_coro::executor);
    for (int i = 0; i < 10'000; ++i) hub.publish(event(Kind::kState, "a"));
    EXPECT_TRUE(feed.lost());
    EXPECT_EQ(co_await feed.next(10s), nullptr);
  }());
}

TEST(EventFeed, EventsComeFromOtherThreads) {
  jobs::EventHub hub;
  std::atomic<bool> ready = false;
  std::thread publisher([&] {
    while (!ready) std::this_thread::yield();
    for (int i = 1; i <= 200; ++i) {
      hub.publish(event(Kind::kState, "a", i));
      if (i % 10 == 0) std::this_thread::sleep_for(1ms);
    }
  });
  run([&]() -> Awaitable<void> {
    EventFeed feed(hub, "a", co_await boost::asio::this_coro::executor);
    ready = true;
    for (int i = 1; i <= 200; ++i) {
      const jobs::EventPtr next = co_await feed.next(10s);
      if (next == nullptr || next->progress.step != i) {
        ADD_FAILURE() << "event " << i << " did not come in its turn";
        break;
      }
    }
  }());
  publisher.join();
}

TEST(EventFeed, MayEndWhileEventsCome) {
  jobs::EventHub hub;
  std::atomic<bool> stop = false;
  std::thread publisher([&] {
    while (!stop) hub.publish(event(Kind::kState, "a"));
  });
  for (int i = 0; i < 50; ++i) {
    run([&]() -> Awaitable<void> {
      EventFeed feed(hub, "a", co_await boost::asio::this_coro::executor);
      co_await feed.next(1s);
    }());
  }
  stop = true;
  publisher.join();
}

}  // namespace
}  // namespace safelight::http
