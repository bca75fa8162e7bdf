// Two processes of a service, here as two services in one process: what each sees of the other.
#include "jobs/redis_relay.h"

#include <gtest/gtest.h>

#include <csignal>
#include <functional>

#include "base/log.h"
#include "unit/jobs/redis_server.h"

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

bool soon(const std::function<bool()>& holds, milliseconds limit = milliseconds(10'000)) {
  for (const auto end = steady_clock::now() + limit; steady_clock::now() < end;) {
    if (holds()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

/// A process: its service, its relay, what its watchers saw.
class Process {
 public:
  explicit Process(const RedisServer& server) : store_(server.open()), service(store_) {
    watch_ = service.hub().subscribe("", [this](const EventPtr& event) {
      const std::lock_guard lock(mutex_);
      seen_.push_back(event);
    });
    service.on_work([this] { woken++; });
    service.on_cancel([this](const std::string& job, CancelMode mode) {
      const std::lock_guard lock(mutex_);
      cancelled_.emplace_back(job, mode);
    });
    relay_ = std::make_unique<RedisRelay>(service, store_);
    EXPECT_TRUE(soon([&] { return woken > 0; })) << "it is connected";
  }

  std::vector<EventPtr> seen(Event::Kind kind, const std::string& job) {
    const std::lock_guard lock(mutex_);
    std::vector<EventPtr> found;
    for (const auto& event : seen_) {
      if (event->kind == kind && event->job == job) found.push_back(event);
    }
    return found;
  }
  std::vector<State> states(const std::string& job) {
    std::vector<State> found;
    for (const auto& event : seen(Event::Kind::kState, job)) found.push_back(event->state);
    return found;
  }
  std::vector<std::pair<std::string, CancelMode>> cancelled() {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }
  void end_relay() { relay_.reset(); }

  /// As a dispatcher does.
  std::optional<Claim> claim() {
    auto claim = store_->claim({.worker = "w"});
    EXPECT_TRUE(claim && *claim);
    service.hub().publish(
        {.job = (*claim)->job.id, .owner = (*claim)->job.asked.owner, .state = State::kRunning});
    return *claim;
  }
  void step(const Claim& claim, int64_t step) {
    service.hub().publish({.kind = Event::Kind::kProgress,
                           .job = claim.job.id,
                           .owner = "ann",
                           .state = State::kRunning,
                           .progress = {.step = step, .steps = 8},
                           .eta_seconds = 1.5});
  }

 private:
  std::shared_ptr<RedisStore> store_;
  std::mutex mutex_;
  std::vector<EventPtr> seen_;
  std::vector<std::pair<std::string, CancelMode>> cancelled_;

 public:
  Service service;
  std::atomic<int> woken = 0;

 private:
  EventHub::Subscription watch_;
  std::unique_ptr<RedisRelay> relay_;
};

class RedisRelayTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::installed()) GTEST_SKIP() << "/usr/bin/redis-server is not installed";
    ASSERT_TRUE(init_logging("off"));  // made before the threads that use it
    server_ = std::make_unique<RedisServer>();
    front_ = std::make_unique<Process>(*server_);
    machine_ = std::make_unique<Process>(*server_);
  }
  std::string submit() { return front_->service.submit({small_job()})->at(0).id; }

  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<Process> front_, machine_;
};

using States = std::vector<State>;

TEST_F(RedisRelayTest, AFrontWatchesAJobOfAnotherMachine) {
  const int woken = machine_->woken;
  const std::string id = submit();
  EXPECT_TRUE(soon([&] { return machine_->woken > woken; }, milliseconds(1000)));
  const auto claim = machine_->claim();
  for (int64_t step = 1; step <= 4; step++) {
    machine_->step(*claim, step);
    std::this_thread::sleep_for(milliseconds(120));
  }
  machine_->service.hub().publish(
      {.kind = Event::Kind::kPreview, .job = id, .jpeg = std::string("\xFF\n\0x", 4)});
  machine_->service.hub().publish({.kind = Event::Kind::kPicture, .job = id, .detail = "0"});
  machine_->service.hub().publish({.kind = Event::Kind::kPicture, .job = id, .detail = "1"});
  EXPECT_TRUE(soon([&] { return front_->seen(Event::Kind::kPicture, id).size() == 2; }));
  const auto progress = front_->seen(Event::Kind::kProgress, id);
  ASSERT_GE(progress.size(), 3U);
  EXPECT_EQ(progress.back()->progress.step, 4);
  EXPECT_EQ(progress.back()->eta_seconds, 1.5);
  EXPECT_EQ(progress.back()->owner, "ann");
  EXPECT_EQ(front_->seen(Event::Kind::kPreview, id).at(0)->jpeg, std::string("\xFF\n\0x", 4));
  EXPECT_EQ(front_->service.hub().live(id)->progress.step, 4);

  ASSERT_TRUE(*machine_->service.store().finish(claim->lease, {.pictures = {picture_of("p")}}));
  EXPECT_TRUE(soon([&] { return front_->states(id).size() == 3; }));
  EXPECT_EQ(front_->states(id), (States{State::kQueued, State::kRunning, State::kSucceeded}));
  EXPECT_TRUE(soon([&] { return front_->service.eta().estimate(small_job().request) >= 0; }))
      << "it learned how long such a job takes";
}

TEST_F(RedisRelayTest, NothingIsSentBack) {
  const std::string id = submit();
  const auto claim = machine_->claim();
  machine_->step(*claim, 1);
  EXPECT_TRUE(soon([&] { return !front_->seen(Event::Kind::kProgress, id).empty(); }));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(machine_->seen(Event::Kind::kProgress, id).size(), 1U);
  EXPECT_EQ(front_->seen(Event::Kind::kProgress, id).size(), 1U);
  EXPECT_EQ(front_->states(id), (States{State::kQueued, State::kRunning}));
  EXPECT_EQ(machine_->states(id).back(), State::kRunning) << "not what came late";
  EXPECT_EQ(machine_->service.hub().live(id)->state, State::kRunning);
}

TEST_F(RedisRelayTest, ACancelReachesTheMachineAtOnce) {
  const std::string id = submit();
  machine_->claim();
  ASSERT_EQ(*front_->service.cancel(id, CancelMode::kInterrupt), State::kRunning);
  EXPECT_TRUE(soon([&] { return machine_->cancelled().size() == 1; }, milliseconds(1000)));
  EXPECT_EQ(machine_->cancelled().at(0), std::pair(id, CancelMode::kInterrupt));
  EXPECT_EQ(front_->cancelled().size(), 1U) << "once, by the call itself";
}

TEST_F(RedisRelayTest, NoStateIsMissedOverARestart) {
  const std::string id = submit();
  const auto claim = machine_->claim();
  EXPECT_TRUE(soon([&] { return front_->states(id).size() == 2; }));
  server_->kill();
  server_->start();
  ASSERT_TRUE(*machine_->service.store().finish(claim->lease, {}));
  const std::string next = submit();
  EXPECT_TRUE(soon([&] { return front_->states(id).size() == 3; }));
  EXPECT_TRUE(soon([&] { return machine_->states(next).size() == 1; }));
  EXPECT_EQ(front_->states(id).back(), State::kSucceeded);
}

TEST_F(RedisRelayTest, ASilentServerIsLeftAndFoundAgain) {
  server_->signal(SIGSTOP);
  std::this_thread::sleep_for(milliseconds(200));
  server_->signal(SIGCONT);
  const std::string id = submit();
  EXPECT_TRUE(soon([&] { return machine_->states(id).size() == 1; }));
}

TEST_F(RedisRelayTest, WhatTheStreamDroppedIsAskedFor) {
  const std::string id = submit();
  EXPECT_TRUE(soon([&] { return machine_->states(id).size() == 1; }));
  // A server that was restored without its stream, while nobody was connected.
  const std::unique_ptr<RedisStore> other = server_->open();
  ASSERT_TRUE(other->pool().call({"XTRIM", "safelight:stream", "MAXLEN", "0"}));
  ASSERT_TRUE(other->pool().call({"HSET", "safelight:job:" + id, "state", "cancelled"}));
  server_->kill();
  server_->start();
  EXPECT_TRUE(soon([&] { return machine_->states(id).size() == 2; }));
  EXPECT_EQ(machine_->states(id).back(), State::kCancelled);
}

TEST_F(RedisRelayTest, EndsQuicklyWhileTheServerIsAway) {
  server_->kill();
  const auto start = steady_clock::now();
  front_->end_relay();
  EXPECT_LT(steady_clock::now() - start, milliseconds(6'000));
}

TEST(RedisEvents, NonsenseIsRefused) {
  for (const std::string text :
       {"", "x", "\n", "{}\n", "[]\nx", "{\"kind\":\"progress\"}\n",
        "{\"kind\":\"state\",\"job\":\"a\"}\n", "{\"kind\":\"progress\",\"job\":5}\n"}) {
    EXPECT_FALSE(live_event_from(text)) << text;
  }
  EXPECT_FALSE(live_event_from(std::string(200'000, 'x')));
  RedisReply reply;
  EXPECT_FALSE(stream_entry_from(reply));
  reply.kind = RedisReply::Kind::kArray;
  reply.items.resize(2);
  EXPECT_FALSE(stream_entry_from(reply));
  reply.items[0] = {.kind = RedisReply::Kind::kText, .text = "1-1"};
  reply.items[1].kind = RedisReply::Kind::kArray;
  EXPECT_FALSE(stream_entry_from(reply));
  reply.items[1].items.resize(3);
  EXPECT_FALSE(stream_entry_from(reply));
}

}  // namespace
}  // namespace safelight::jobs
