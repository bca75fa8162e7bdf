#include "jobs/fair_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;
using Entry = FairQueue::Entry;

constexpr milliseconds kPatience{1000};

/// Takes jobs at a time of its own.
class Taker {
 public:
  explicit Taker(FairQueue& queue) : queue_(queue) {}
  void wait(milliseconds time) { now_ += time; }
  std::optional<Entry> take(const std::string& model = "") {
    return queue_.take(model, kPatience, now_);
  }
  std::string id(const std::string& model = "") {
    const auto entry = take(model);
    return entry ? entry->id : "";
  }

 private:
  FairQueue& queue_;
  FairQueue::Clock::time_point now_{};
};

std::string padded(int number) { return std::to_string(100'000 + number); }

/// Jobs at random of owners that differ in what they ask for: owner n's jobs cost about n.
std::vector<Entry> random_jobs(int jobs, int owners, std::mt19937& random) {
  std::vector<Entry> entries;
  for (int i = 0; i < jobs; ++i) {
    const int owner = i % owners;
    entries.push_back({.id = padded(i),
                       .owner = "owner" + std::to_string(owner),
                       .model = std::string(1, static_cast<char>('a' + random() % 3)),
                       .priority = static_cast<int>(random() % 3),
                       .cost = 1 + owner + static_cast<double>(random() % 10) / 10});
  }
  return entries;
}

TEST(FairQueue, AnEmptyOneGivesNothing) {
  FairQueue queue;
  EXPECT_FALSE(Taker(queue).take());
  EXPECT_FALSE(queue.remove("x"));
  EXPECT_TRUE(queue.order(5).empty());
  EXPECT_EQ(queue.cost(), 0);
}

TEST(FairQueue, OwnersThatWaitGetTheSameShare) {
  std::mt19937 random(1);
  FairQueue queue;
  constexpr int kOwners = 5;
  double most = 0;
  for (const Entry& entry : random_jobs(500, kOwners, random)) {
    most = std::max(most, entry.cost);
    queue.push(entry);
  }
  Taker taker(queue);
  std::map<std::string, double> served;
  for (int i = 0; i < 150; ++i) {
    const auto entry = taker.take();
    ASSERT_TRUE(entry);
    served[entry->owner] += entry->cost;
    if (i < kOwners) continue;
    const auto [least, greatest] =
        std::minmax_element(served.begin(), served.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; });
    EXPECT_LE(greatest->second - least->second, 2 * most);
  }
}

TEST(FairQueue, AnIdleOwnerSavesNothingUp) {
  FairQueue queue;
  Taker taker(queue);
  for (int i = 0; i < 50; ++i) queue.push({.id = padded(i), .owner = "busy", .cost = 1});
  for (int i = 0; i < 20; ++i) taker.take();
  for (int i = 0; i < 10; ++i) queue.push({.id = padded(100 + i), .owner = "idle", .cost = 1});
  int of_idle = 0;
  for (int i = 0; i < 10; ++i) of_idle += taker.take()->owner == "idle" ? 1 : 0;
  EXPECT_NEAR(of_idle, 5, 1);
}

TEST(FairQueue, EveryoneIsServedWhileOthersKeepComing) {
  FairQueue queue;
  Taker taker(queue);
  queue.push({.id = "rare", .owner = "rare", .cost = 50});
  int turns = 0;
  for (int i = 0;; ++i) {
    queue.push({.id = padded(i), .owner = "eager", .priority = 100, .cost = 1});
    ++turns;
    if (taker.id() == "rare") break;
    ASSERT_LT(turns, 100);
  }
  EXPECT_NEAR(turns, 50, 1);
}

TEST(FairQueue, OrderIsWhatTakeGives) {
  std::mt19937 random(2);
  FairQueue queue;
  for (const Entry& entry : random_jobs(300, 7, random)) queue.push(entry);
  Taker taker(queue);
  for (int i = 0; i < 50; ++i) taker.take();
  const auto order = queue.order(1000);
  ASSERT_EQ(order.size(), 250U);
  EXPECT_EQ(queue.order(3), (std::vector<std::string>(order.begin(), order.begin() + 3)));
  for (const auto& id : order) EXPECT_EQ(taker.id(), id);
}

TEST(FairQueue, WhatIsPutBackIsNextAgain) {
  std::mt19937 random(3);
  FairQueue queue;
  for (const Entry& entry : random_jobs(60, 4, random)) queue.push(entry);
  Taker taker(queue);
  while (queue.size() > 0) {
    const auto order = queue.order(100);
    const auto first = taker.take();
    queue.put_back(*first);
    EXPECT_EQ(queue.order(100), order);
    EXPECT_EQ(taker.id(), first->id);
  }
}

TEST(FairQueue, WhatIsRemovedIsNotTaken) {
  std::mt19937 random(4);
  FairQueue queue;
  const auto entries = random_jobs(100, 4, random);
  for (const Entry& entry : entries) queue.push(entry);
  for (size_t i = 0; i < entries.size(); i += 2) EXPECT_TRUE(queue.remove(entries[i].id));
  EXPECT_FALSE(queue.remove(entries[0].id));
  EXPECT_EQ(queue.size(), 50U);
  Taker taker(queue);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(std::stoi(taker.id("b")) % 2, 1);
  EXPECT_FALSE(taker.take());
  EXPECT_EQ(queue.cost(), 0);
}

TEST(FairQueue, TheLoadedModelGoesFirstForABoundedTime) {
  FairQueue queue;
  Taker taker(queue);
  queue.push({.id = "other", .owner = "a", .model = "other", .cost = 1});
  for (int i = 0; i < 100; ++i) {
    queue.push({.id = padded(i), .owner = "b", .model = "loaded", .cost = 1});
  }
  int before = 0;
  while (taker.id("loaded") != "other") {
    taker.wait(milliseconds(100));
    ASSERT_LT(++before, 100);
  }
  EXPECT_EQ(before, 10);
}

TEST(FairQueue, NewArrivalsDoNotStretchPatience) {
  // The job whose turn it is changes all the time; jobs that are not of the model get turns still.
  FairQueue queue;
  Taker taker(queue);
  int of_others = 0;
  for (int i = 0; i < 200; ++i) {
    queue.push({.id = padded(1000 - i),
                .owner = "a" + padded(1000 - i),
                .model = "other",
                .cost = 1.0 / (i + 1)});
    queue.push({.id = padded(2000 + i), .owner = "b", .model = "loaded", .cost = 1});
    of_others += taker.take("loaded")->model == "other" ? 1 : 0;
    taker.wait(milliseconds(100));
  }
  EXPECT_NEAR(of_others, 200 / 11.0, 2);
}

TEST(FairQueue, TheLoadedModelIsFairBetweenOwnersToo) {
  FairQueue queue;
  Taker taker(queue);
  queue.push({.id = "0", .owner = "a", .model = "other", .cost = 1});
  for (int i = 0; i < 20; ++i) {
    queue.push({.id = padded(i), .owner = "b", .model = "loaded", .cost = 1});
    queue.push({.id = padded(100 + i), .owner = "c", .model = "loaded", .cost = 3});
  }
  std::map<std::string, double> served;
  for (int i = 0; i < 16; ++i) {
    const auto entry = taker.take("loaded");
    EXPECT_EQ(entry->model, "loaded");
    served[entry->owner] += entry->cost;
  }
  EXPECT_NEAR(served["b"], served["c"], 3);
}

}  // namespace
}  // namespace safelight::jobs
