#include "jobs/events.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace safelight::jobs {
namespace {

Event state(const std::string& job, State state, Time time = 1) {
  return {.kind = Event::Kind::kState, .job = job, .owner = "ann", .time = time, .state = state};
}

TEST(EventHub, TellsListenersOfTheirJobInOrder) {
  EventHub hub;
  std::vector<uint64_t> all, one;
  const auto every = hub.subscribe("", [&](const EventPtr& e) { all.push_back(e->sequence); });
  auto mine = hub.subscribe("b", [&](const EventPtr& e) { one.push_back(e->sequence); });
  hub.publish(state("a", State::kQueued));
  hub.publish(state("b", State::kQueued));
  hub.publish(state("b", State::kRunning));
  mine.reset();
  hub.publish(state("b", State::kSucceeded));
  EXPECT_EQ(all, (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(one, (std::vector<uint64_t>{2, 3}));
}

TEST(EventHub, RemembersWhatIsUnfinishedAndForgetsWhatEndedLongAgo) {
  EventHub hub;
  hub.publish(state("a", State::kQueued));
  hub.publish(state("b", State::kQueued));
  hub.publish(state("b", State::kRunning));
  hub.publish({.kind = Event::Kind::kProgress,
               .job = "b",
               .time = 2,
               .progress = {.batch = 1, .batches = 2, .step = 5, .steps = 10}});
  hub.set_position("a", 1, 7);
  const auto unfinished = hub.unfinished();
  ASSERT_EQ(unfinished.size(), 2U);
  EXPECT_EQ(unfinished[0].first, "b");
  EXPECT_DOUBLE_EQ(unfinished[0].second.progress.fraction(), 0.75);
  EXPECT_EQ(unfinished[1].second.position, 1);
  EXPECT_EQ(unfinished[1].second.eta_seconds, 7);

  hub.publish(state("b", State::kFailed, 10));
  EXPECT_EQ(hub.unfinished().size(), 1U);
  ASSERT_TRUE(hub.live("b"));
  EXPECT_EQ(hub.live("b")->owner, "ann");
  hub.publish(state("a", State::kRunning, 200'000));
  EXPECT_FALSE(hub.live("b"));
}

TEST(EventHub, ActivityIsWhatRunsAndTheOwnersOldestQueuedJob) {
  EventHub hub;
  for (const char* const id : {"c", "a", "b", "d"}) hub.publish(state(id, State::kQueued));
  Event other = state("0", State::kQueued);
  other.owner = "ben";
  hub.publish(other);
  hub.publish(state("b", State::kRunning));
  hub.publish(state("a", State::kRunning));
  EventHub::Activity activity = hub.activity("ann");
  ASSERT_EQ(activity.running.size(), 2U);
  EXPECT_EQ(activity.running[0].first, "a");
  EXPECT_EQ(activity.running[1].first, "b");
  ASSERT_TRUE(activity.next);
  EXPECT_EQ(activity.next->first, "c");
  EXPECT_EQ(activity.queued, 3U);
  EXPECT_FALSE(hub.activity("eve").next);

  hub.publish(state("a", State::kQueued));
  hub.publish(state("b", State::kSucceeded));
  hub.publish(state("c", State::kCancelled));
  activity = hub.activity("ann");
  EXPECT_TRUE(activity.running.empty());
  EXPECT_EQ(activity.next->first, "a");
  EXPECT_EQ(activity.queued, 3U);
}

TEST(EventHub, AJobThatCameBackIntoTheQueueIsNotForgotten) {
  EventHub hub;
  hub.publish(state("a", State::kFailed, 10));
  hub.publish(state("a", State::kQueued, 20));
  hub.publish(state("b", State::kQueued, 200'000));
  EXPECT_TRUE(hub.live("a"));
}

TEST(EventHub, SubscriptionMayOutliveTheHub) {
  EventHub::Subscription subscription;
  {
    EventHub hub;
    subscription = hub.subscribe("", [](const EventPtr&) {});
  }
  subscription.reset();
}

TEST(EventHub, ManyThreadsMayPublishAndSubscribe) {
  EventHub hub;
  std::atomic<int> heard = 0;
  const auto listener = hub.subscribe("", [&](const EventPtr&) { ++heard; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&hub, t] {
      for (int i = 0; i < 200; ++i) {
        const auto mine = hub.subscribe(std::to_string(t), [](const EventPtr&) {});
        hub.publish(state(std::to_string(t), State::kRunning));
        (void)hub.live("0");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(heard, 800);
}

}  // namespace
}  // namespace safelight::jobs
