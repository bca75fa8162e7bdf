// The dispatcher with a worker that does what the prompt of each job says (fake_worker.py).
#include "jobs/dispatcher.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "unit/jobs/memory_store.h"

namespace safelight::jobs {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() {
    folder_ = std::filesystem::temp_directory_path() / ("dispatcher" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    subscription_ = service_.hub().subscribe("", [this](const EventPtr& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    });
  }
  ~DispatcherTest() override {
    dispatcher_.reset();
    std::filesystem::remove_all(folder_);
  }

  DispatcherOptions options(std::vector<std::string> arguments) {
    std::vector<std::string> command{
        "/usr/bin/python3", std::string(SAFELIGHT_SOURCE_DIR) + "/tests/unit/jobs/fake_worker.py"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return {.name = "w1", .command = command, .lease_ms = 600};
  }
  void start() { start(options({folder_.string()})); }
  void start(DispatcherOptions how) {
    dispatcher_ = std::make_unique<Dispatcher>(service_, std::move(how));
    ASSERT_TRUE(dispatcher_->start().ok());
  }

  std::string submit(const std::string& prompt) { return submit(prompt, {}); }
  std::string submit(const std::string& prompt, NewJob job) {
    job.request.prompt = prompt;
    job.request.steps = 4;
    job.request.width = job.request.height = 64;
    job.owner = "ann";
    return (*service_.submit({job}))[0].id;
  }
  Job job(const std::string& id) { return *store_->find(id); }

  template <class Condition>
  static bool eventually(Condition condition, int seconds = 10) {
    const auto end = Clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return true;
  }
  /// The job's state, once an event has told its end.
  State end_of(const std::string& id) {
    EXPECT_TRUE(eventually([&] {
      const auto live = service_.hub().live(id);
      return live && is_final(live->state);
    })) << id
        << " did not end";
    return job(id).state;
  }
  void await_step(const std::string& id) {
    EXPECT_TRUE(eventually([&] { return count(id, Event::Kind::kProgress) > 0; }));
  }
  std::vector<EventPtr> events(const std::string& id) {
    const std::lock_guard lock(mutex_);
    std::vector<EventPtr> found;
    for (const EventPtr& event : events_) {
      if (event->job == id) found.push_back(event);
    }
    return found;
  }
  int64_t count(const std::string& id, Event::Kind kind) {
    const auto all = events(id);
    return std::count_if(all.begin(), all.end(),
                         [&](const EventPtr& event) { return event->kind == kind; });
  }
  /// The states that watchers were told, each with its detail.
  std::string told(const std::string& id) {
    std::string text;
    for (const EventPtr& event : events(id)) {
      if (event->kind != Event::Kind::kState) continue;
      text += std::string(state_name(event->state)) + " (" + event->detail + ")\n";
    }
    return text;
  }

  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  Service service_{store_};
  std::filesystem::path folder_;
  std::mutex mutex_;
  std::vector<EventPtr> events_;
  EventHub::Subscription subscription_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(DispatcherTest, DrawsAJobAndTellsOfIt) {
  start();
  EXPECT_EQ(dispatcher_->status().process, 0) << "started without work";
  const std::string id = submit("ok");
  EXPECT_EQ(end_of(id), State::kSucceeded);
  ASSERT_EQ(job(id).results.size(), 1U);
  EXPECT_EQ(*store_->read_result(id, 0), "picture");
  EXPECT_EQ(told(id), "queued ()\nrunning (attempt 1 on w1)\nsucceeded ()\n");
  EXPECT_EQ(count(id, Event::Kind::kProgress), 2);
  EXPECT_EQ(count(id, Event::Kind::kPicture), 1);
  EXPECT_DOUBLE_EQ(events(id).at(2)->progress.fraction(), 0.25);
  EXPECT_EQ(events(id).at(2)->owner, "ann");
  const WorkerStatus status = dispatcher_->status();
  EXPECT_TRUE(status.ready);
  EXPECT_EQ(status.device, "fake device");
  EXPECT_EQ(status.current_model, "m");
  EXPECT_EQ(status.models.at(0).bytes, 77U);
  EXPECT_GT(status.resident_bytes, 0U);
  EXPECT_EQ(status.jobs_done, 1);
  EXPECT_EQ(status.job, "");
  EXPECT_GT(service_.eta().estimate(job(id).asked.request), 0) << "nothing was learned";
}

TEST_F(DispatcherTest, WorkThatWasThereIsFound) {
  const std::string before = submit("ok");
  start();
  EXPECT_EQ(end_of(before), State::kSucceeded);
  // And work that another server accepted, of which nobody tells.
  const std::string silent = (*store_->submit({NewJob{}}))[0].id;
  EXPECT_EQ(end_of(silent), State::kSucceeded);
}

TEST_F(DispatcherTest, ADeadWorkerCostsAnAttempt) {
  start();
  const std::string id = submit("die once");
  EXPECT_EQ(end_of(id), State::kSucceeded);
  EXPECT_EQ(job(id).attempt, 2);
  EXPECT_EQ(told(id),
            "queued ()\nrunning (attempt 1 on w1)\n"
            "queued (the worker was ended by signal 11 (Segmentation fault))\n"
            "running (attempt 2 on w1)\nsucceeded ()\n");
  EXPECT_EQ(dispatcher_->status().restarts, 1);
}

TEST_F(DispatcherTest, AttemptsAreLimitedAndTheReasonIsTold) {
  start();
  const std::string killed = submit("killed", {.max_attempts = 2}), gone = submit("exit");
  EXPECT_EQ(end_of(killed), State::kFailed);
  EXPECT_EQ(job(killed).attempt, 2);
  EXPECT_EQ(job(killed).error->message, "the worker was killed: out of memory");
  EXPECT_EQ(end_of(gone), State::kFailed);
  EXPECT_EQ(job(gone).error->message, "the worker ended with status 3");
}

TEST_F(DispatcherTest, WhatAWorkerMayNotSendEndsIt) {
  start();
  const auto fault = [&](const char* prompt) {
    const std::string id = submit(prompt, {.max_attempts = 1});
    EXPECT_EQ(end_of(id), State::kFailed) << prompt;
    return job(id).error->message;
  };
  EXPECT_NE(fault("garbage").find("was announced"), std::string::npos);
  EXPECT_EQ(fault("unknown kind"),
            "the worker sent what it may not (a message 'gibberish' is not known) and was ended");
  EXPECT_NE(fault("wrong hash").find("does not match its hash"), std::string::npos);
  EXPECT_NE(fault("wrong index").find("picture 5 where 0 was due"), std::string::npos);
  EXPECT_NE(fault("wrong progress").find("progress.step must be"), std::string::npos);
  EXPECT_NE(fault("wrong end").find("without a final state"), std::string::npos);
  EXPECT_EQ(end_of(submit("other attempt")), State::kSucceeded);
}

TEST_F(DispatcherTest, CancelsReachTheWorker) {
  start();
  const std::string dropped = submit("wait");
  await_step(dropped);
  ASSERT_TRUE(service_.cancel(dropped).ok());
  EXPECT_EQ(end_of(dropped), State::kCancelled);
  EXPECT_TRUE(job(dropped).results.empty());
  const std::string interrupted = submit("wait");
  await_step(interrupted);
  ASSERT_TRUE(service_.cancel(interrupted, CancelMode::kInterrupt).ok());
  EXPECT_EQ(end_of(interrupted), State::kCancelled);
  EXPECT_EQ(job(interrupted).results.size(), 1U);
  const std::string skipped = submit("wait");
  await_step(skipped);
  EXPECT_FALSE(dispatcher_->skip(dropped));
  EXPECT_TRUE(dispatcher_->skip(skipped));
  EXPECT_EQ(end_of(skipped), State::kSucceeded);
  // A cancel of another server comes with the renewal of the lease.
  const std::string elsewhere = submit("wait");
  await_step(elsewhere);
  ASSERT_TRUE(store_->cancel(elsewhere, CancelMode::kDrop).ok());
  EXPECT_EQ(end_of(elsewhere), State::kCancelled);
  EXPECT_EQ(dispatcher_->status().restarts, 0);
}

TEST_F(DispatcherTest, AWorkerThatDoesNotAnswerIsKilled) {
  start();
  const std::string late = submit("hang", {.timeout_ms = 300});
  const auto begin = Clock::now();
  EXPECT_EQ(end_of(late), State::kFailed);
  EXPECT_EQ(job(late).error->message, "stopped after 0.3 s, the job's timeout");
  EXPECT_EQ(job(late).results.size(), 1U) << "what was done is kept";
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(4));
  const std::string expired = submit("hang", {.deadline = now() + 800});
  EXPECT_EQ(end_of(expired), State::kExpired);
  EXPECT_EQ(end_of(submit("ok")), State::kSucceeded);
  EXPECT_EQ(job(late).attempt, 1);
}

TEST_F(DispatcherTest, ATimeoutIsNoAttempt) {
  start();
  const std::string id = submit("wait", {.timeout_ms = 100});
  EXPECT_EQ(end_of(id), State::kFailed);
  EXPECT_EQ(job(id).error->code, ErrorCode::kCancelled);
  EXPECT_EQ(dispatcher_->status().restarts, 0) << "the worker had answered";
}

TEST_F(DispatcherTest, ALostLeaseEndsTheWorkOnIt) {
  start();
  const std::string id = submit("wait");
  await_step(id);
  store_->loses = true;
  EXPECT_TRUE(eventually([&] { return dispatcher_->status().job.empty(); }));
  store_->loses = false;
  EXPECT_EQ(job(id).state, State::kRunning) << "it is another worker's";
  EXPECT_EQ(told(id), "queued ()\nrunning (attempt 1 on w1)\n");
  EXPECT_EQ(end_of(submit("ok")), State::kSucceeded);
}

TEST_F(DispatcherTest, LeasesAreRenewedInTime) {
  DispatcherOptions how = options({});
  how.lease_ms = 150;
  start(how);
  const std::string id = submit("slow");
  EXPECT_EQ(end_of(id), State::kSucceeded);
  EXPECT_GE(store_->renewals, 5);
}

TEST_F(DispatcherTest, ResultsWaitForTheStore) {
  start();
  const std::string id = submit("slow");
  await_step(id);
  store_->fails = true;
  std::this_thread::sleep_for(milliseconds(1200));
  EXPECT_EQ(job(id).state, State::kRunning);
  store_->fails = false;
  EXPECT_EQ(end_of(id), State::kSucceeded);
  EXPECT_EQ(job(id).attempt, 1);
  EXPECT_EQ(job(id).results.size(), 1U);
}

TEST_F(DispatcherTest, ResultsThatTheStoreRefusesFailTheJob) {
  start();
  store_->refusals = 1;
  const std::string id = submit("ok");
  EXPECT_EQ(end_of(id), State::kFailed);
  EXPECT_EQ(job(id).error->message, "too large");
}

TEST_F(DispatcherTest, ARefusalIsNoFailure) {
  start();
  const std::string id = submit("refused");
  EXPECT_EQ(end_of(id), State::kRefused);
  EXPECT_EQ(job(id).error->code, ErrorCode::kRefused);
}

TEST_F(DispatcherTest, AWorkerThatCannotStartHoldsNoJob) {
  start(options({"exit"}));
  const std::string id = submit("ok");
  EXPECT_TRUE(eventually([&] { return dispatcher_->status().restarts >= 3; }));
  EXPECT_EQ(job(id).state, State::kQueued);
  EXPECT_EQ(job(id).attempt, 0);
  EXPECT_EQ(dispatcher_->load("m").error().message, "the worker ended with status 7");
}

TEST_F(DispatcherTest, DrainingLetsTheRunningJobEnd) {
  start();
  const std::string running = submit("slow"), waiting = submit("ok");
  await_step(running);
  dispatcher_->drain(5000);
  EXPECT_EQ(job(running).state, State::kSucceeded);
  EXPECT_EQ(job(waiting).state, State::kQueued);
  EXPECT_EQ(dispatcher_->load("m").error().code, ErrorCode::kUnavailable);
}

TEST_F(DispatcherTest, WhatDoesNotEndInTimeGoesBackUncounted) {
  start();
  const std::string id = submit("wait");
  await_step(id);
  const int pid = dispatcher_->status().process;
  const auto begin = Clock::now();
  dispatcher_.reset();
  EXPECT_LT(Clock::now() - begin, milliseconds(500));
  EXPECT_EQ(job(id).state, State::kQueued);
  EXPECT_EQ(job(id).attempt, 0);
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_EQ(told(id), "queued ()\nrunning (attempt 1 on w1)\nqueued (the server stops)\n");
}

TEST_F(DispatcherTest, ModelsAreLoadedBehindTheRunningJob) {
  start();
  EXPECT_TRUE(dispatcher_->unload("").ok()) << "nothing to unload";
  EXPECT_TRUE(dispatcher_->load("big").ok());
  EXPECT_EQ(dispatcher_->status().current_model, "big");
  EXPECT_EQ(dispatcher_->load("missing").error().code, ErrorCode::kNotFound);
  const std::string id = submit("slow");
  await_step(id);
  std::thread loader([&] { EXPECT_TRUE(dispatcher_->load("other").ok()); });
  const auto begin = Clock::now();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(dispatcher_->status().name, "w1");
  EXPECT_LT(Clock::now() - begin, milliseconds(200));
  loader.join();
  EXPECT_EQ(end_of(id), State::kSucceeded);
  EXPECT_TRUE(dispatcher_->unload("other").ok());
  EXPECT_NE(dispatcher_->status().process, 0);
  EXPECT_TRUE(dispatcher_->unload("").ok());
  EXPECT_EQ(dispatcher_->status().process, 0);
  EXPECT_EQ(dispatcher_->status().restarts, 0);
}

TEST_F(DispatcherTest, AnIdleWorkerEnds) {
  DispatcherOptions how = options({});
  how.idle_seconds = 1;
  start(how);
  EXPECT_EQ(end_of(submit("ok")), State::kSucceeded);
  EXPECT_NE(dispatcher_->status().process, 0);
  EXPECT_TRUE(eventually([&] { return dispatcher_->status().process == 0; }));
  EXPECT_EQ(end_of(submit("ok")), State::kSucceeded);
  EXPECT_EQ(dispatcher_->status().restarts, 0);
}

TEST_F(DispatcherTest, PreviewsComeWhenSomebodyWatches) {
  start();
  const std::string id = submit("preview");
  await_step(id);
  dispatcher_->watch_previews(id, true);
  EXPECT_EQ(end_of(id), State::kSucceeded);
  const auto all = events(id);
  const auto preview = std::find_if(all.begin(), all.end(), [](const EventPtr& event) {
    return event->kind == Event::Kind::kPreview;
  });
  ASSERT_NE(preview, all.end());
  EXPECT_EQ((*preview)->jpeg, "jpeg");
}

TEST_F(DispatcherTest, PicturesAreSavedWhereThatIsAsked) {
  DispatcherOptions how = options({});
  how.save = [](const Job& job, const FinishedPicture& picture) -> Result<std::string> {
    if (job.asked.delivery.pattern == "bad") return Error{ErrorCode::kIo, "read-only"};
    return "out/" + picture.data;
  };
  start(how);
  const std::string saved = submit("ok", {.delivery = {.save = true}}), plain = submit("ok"),
                    failed = submit("ok", {.delivery = {.save = true, .pattern = "bad"}});
  EXPECT_EQ(end_of(saved), State::kSucceeded);
  EXPECT_EQ(job(saved).results.at(0).saved_as, "out/picture");
  EXPECT_EQ(end_of(plain), State::kSucceeded);
  EXPECT_EQ(job(plain).results.at(0).saved_as, "");
  EXPECT_EQ(end_of(failed), State::kSucceeded);
}

}  // namespace
}  // namespace safelight::jobs
