#include "store_contract.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <vector>

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;

const JobError kOutOfMemory{.code = ErrorCode::kOutOfMemory, .message = "no memory left"};

std::vector<std::string> ids_of(const std::vector<Job>& jobs) {
  std::vector<std::string> ids;
  for (const Job& job : jobs) ids.push_back(job.id);
  return ids;
}

std::vector<std::string> types_of(const std::vector<StoredEvent>& events) {
  std::vector<std::string> types;
  for (const StoredEvent& event : events) types.push_back(event.type);
  return types;
}

TEST_P(StoreContract, AnAcceptedJobIsFoundAsItWasAsked) {
  NewJob job = example_job();
  job.request.prompt = "quotes ' \" and \n lines, \xc3\xa9";
  job.request.cfg_scale = 0.1;
  job.request.s_noise = 1.0000000000000002;
  job.request.seed = 4294967295;
  job.request.eta = 0.0;
  job.delivery = {.format = "webp", .quality = 71, .save = true, .pattern = "[seed]"};
  job.client_id = "task";
  job.idempotency_key = "key";
  job.fingerprint = "f";
  job.traceparent = "00-1-2-01";
  job.priority = -7;
  job.deadline = now() + 1'000'000;
  job.timeout_ms = 5;
  job.max_attempts = 2;
  const Time before = now();
  const std::string id = submit(job);
  ASSERT_EQ(id.size(), 26U);
  reopen();
  const Job found = find(id);
  EXPECT_EQ(found.id, id);
  EXPECT_EQ(found.asked.request, job.request);
  EXPECT_EQ(found.asked.delivery, job.delivery);
  EXPECT_EQ(found.asked.owner, "ann");
  EXPECT_EQ(found.asked.model_sha256, "m");
  EXPECT_EQ(found.asked.client_id, "task");
  EXPECT_EQ(found.asked.traceparent, job.traceparent);
  EXPECT_EQ(found.asked.priority, -7);
  EXPECT_EQ(found.asked.deadline, job.deadline);
  EXPECT_EQ(found.asked.timeout_ms, 5);
  EXPECT_EQ(found.asked.max_attempts, 2);
  EXPECT_EQ(found.state, State::kQueued);
  EXPECT_EQ(found.attempt, 0);
  EXPECT_GE(found.created, before);
  EXPECT_FALSE(found.error);
}

TEST_P(StoreContract, UnknownIdsAreNotFound) {
  for (const std::string id :
       {"", "x", "../../etc/passwd", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "' OR 1"}) {
    EXPECT_EQ(store().find(id).error().code, ErrorCode::kNotFound) << id;
    EXPECT_EQ(store().events(id).error().code, ErrorCode::kNotFound) << id;
    EXPECT_EQ(store().read_result(id, 0).error().code, ErrorCode::kNotFound) << id;
    EXPECT_EQ(store().cancel(id, CancelMode::kDrop).error().code, ErrorCode::kNotFound) << id;
    EXPECT_EQ(store().find_client_id("ann", id).error().code, ErrorCode::kNotFound) << id;
  }
}

TEST_P(StoreContract, AKeyNamesOneJobOfAnOwner) {
  NewJob job = example_job();
  job.idempotency_key = "k";
  job.fingerprint = "one";
  const std::string id = submit(job);
  job.request.seed = 8;  // drawn anew for the same request
  const auto again = store().submit({job});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->front().id, id);
  EXPECT_TRUE(again->front().repeated);
  EXPECT_EQ(find(id).asked.request.seed, 7);

  job.fingerprint = "two";
  const auto other = store().submit({example_job(), job});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kConflict);
  job.owner = "bob";
  EXPECT_NE(submit(job), id);
  EXPECT_EQ(store().counts()->jobs[State::kQueued], 2) << "all or none are accepted";
}

TEST_P(StoreContract, AKeyCanRepeatWithinABatch) {
  NewJob job = example_job();
  job.idempotency_key = "k";
  const auto accepted = store().submit({job, example_job(), job});
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_FALSE((*accepted)[0].repeated);
  EXPECT_TRUE((*accepted)[2].repeated);
  EXPECT_EQ((*accepted)[0].id, (*accepted)[2].id);
  EXPECT_EQ(store().counts()->jobs[State::kQueued], 2);
}

TEST_P(StoreContract, ABatchIsOfAtMostAThousand) {
  const auto accepted = store().submit(std::vector<NewJob>(1000, example_job()));
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_EQ(accepted->size(), 1000U);
  const bool grows = std::is_sorted(accepted->begin(), accepted->end(),
                                    [](const auto& a, const auto& b) { return a.id < b.id; });
  EXPECT_TRUE(grows);
  EXPECT_EQ(store().submit(std::vector<NewJob>(1001, example_job())).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(store().counts()->jobs[State::kQueued], 1000);
}

TEST_P(StoreContract, AClientsNameFindsTheNewest) {
  NewJob job = example_job();
  job.client_id = "task";
  submit(job);
  const std::string newest = submit(job);
  job.owner = "bob";
  submit(job);
  const auto found = store().find_client_id("ann", "task");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->id, newest);
  EXPECT_EQ(store().find_client_id("cid", "task").error().code, ErrorCode::kNotFound);
}

TEST_P(StoreContract, ListsAreNewestFirst) {
  std::vector<std::string> of_ann;
  for (int i = 0; i < 5; ++i) of_ann.insert(of_ann.begin(), submit(example_job("ann")));
  const std::string of_bob = submit(example_job("bob"));
  ASSERT_TRUE(store().cancel(of_ann[1], CancelMode::kDrop));
  ASSERT_TRUE(store().cancel(of_bob, CancelMode::kDrop));
  EXPECT_EQ(ids_of(*store().list({.owner = "ann"})), of_ann);
  EXPECT_EQ(store().list({})->size(), 6U);
  EXPECT_EQ(ids_of(*store().list({.owner = "ann", .before = of_ann[1], .limit = 2})),
            (std::vector{of_ann[2], of_ann[3]}));
  EXPECT_EQ(ids_of(*store().list({.states = {State::kCancelled}})),
            (std::vector{of_bob, of_ann[1]}));
  EXPECT_EQ(ids_of(*store().list(
                {.owner = "ann", .states = {State::kCancelled, State::kQueued}, .limit = 3})),
            (std::vector{of_ann[0], of_ann[1], of_ann[2]}));
  EXPECT_TRUE(store().list({.owner = "nobody"})->empty());
}

TEST_P(StoreContract, PriorityThenAgeWithinAnOwner) {
  NewJob urgent = example_job();
  urgent.priority = 5;
  const std::string first = submit(example_job());
  const std::string second = submit(example_job());
  const std::string third = submit(urgent);
  const std::vector expected{third, first, second};
  EXPECT_EQ(*store().order(10), expected);
  EXPECT_EQ(*store().order(1), std::vector{third});
  reopen();
  for (const auto& id : expected) EXPECT_EQ(claim()->job.id, id);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, AClaimIsForOneWorker) {
  const std::string id = submit(example_job());
  const auto claimed = claim({.worker = "w1"});
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->lease.job, id);
  EXPECT_EQ(claimed->lease.attempt, 1);
  EXPECT_EQ(claimed->lease.worker, "w1");
  EXPECT_EQ(claimed->job.state, State::kRunning);
  EXPECT_EQ(claimed->job.asked.request, example_job().request);
  EXPECT_FALSE(claim({.worker = "w2"}));
  const Job found = find(id);
  EXPECT_EQ(found.state, State::kRunning);
  EXPECT_EQ(found.worker, "w1");
  EXPECT_EQ(found.attempt, 1);
  EXPECT_GT(found.started, 0);
}

TEST_P(StoreContract, AWorkerOfAnotherPolicyGetsNothing) {
  NewJob job = example_job();
  job.policy = "strict";
  const std::string id = submit(job);
  EXPECT_FALSE(claim());
  const auto claimed = claim({.worker = "w", .policy = "strict"});
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->job.id, id);
  EXPECT_EQ(claimed->job.asked.policy, "strict");
}

TEST_P(StoreContract, AJobEndsOnce) {
  const std::string id = submit(example_job());
  const Lease lease = claim()->lease;
  const Outcome outcome{.pictures = {example_picture("first"), example_picture("second", 1)}};
  Lease other = lease;
  other.worker = "somebody";
  EXPECT_FALSE(*store().finish(other, outcome));
  other = lease;
  ++other.attempt;
  EXPECT_FALSE(*store().finish(other, outcome));
  EXPECT_EQ(find(id).state, State::kRunning);

  const auto finished = store().finish(lease, outcome);
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_TRUE(*finished);
  EXPECT_FALSE(*store().finish(lease, {.state = State::kFailed, .error = kOutOfMemory}));
  EXPECT_FALSE(*store().give_back(lease, true, "late"));
  EXPECT_FALSE(store().renew(lease, 1000)->held);
  EXPECT_EQ(*store().cancel(id, CancelMode::kDrop), State::kSucceeded);
  reopen();
  const Job found = find(id);
  EXPECT_EQ(found.state, State::kSucceeded);
  EXPECT_GE(found.finished, found.started);
  ASSERT_EQ(found.results.size(), 2U);
  EXPECT_EQ(found.results[1].index, 1);
  EXPECT_EQ(found.results[1].sha256, outcome.pictures[1].file.sha256);
  EXPECT_EQ(found.results[1].infotext, outcome.pictures[1].file.infotext);
  EXPECT_EQ(*store().read_result(id, 0), "first");
  EXPECT_EQ(*store().read_result(id, 1), "second");
  EXPECT_EQ(store().read_result(id, 2).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, EndsOfEveryKindAreKept) {
  for (const State state : {State::kFailed, State::kCancelled, State::kRefused, State::kExpired}) {
    const std::string id = submit(example_job());
    const Lease lease = claim()->lease;
    const std::string data(100'000, static_cast<char>(state));
    ASSERT_TRUE(*store().finish(
        lease, {.state = state, .error = kOutOfMemory, .pictures = {example_picture(data)}}));
    const Job found = find(id);
    EXPECT_EQ(found.state, state);
    ASSERT_TRUE(found.error);
    EXPECT_EQ(found.error->code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(found.error->message, "no memory left");
    EXPECT_EQ(*store().read_result(id, 0), data);
  }
}

TEST_P(StoreContract, AnEndThatCannotBeTrueIsRefused) {
  const std::string id = submit(example_job());
  const Lease lease = claim()->lease;
  Outcome wrong_hash{.pictures = {example_picture("data")}};
  wrong_hash.pictures[0].file.sha256 = example_picture("other").file.sha256;
  Outcome wrong_size{.pictures = {example_picture("data")}};
  wrong_size.pictures[0].file.bytes = 3;
  const Outcome twice{.pictures = {example_picture("a"), example_picture("b")}};
  for (const Outcome& outcome :
       {wrong_hash, wrong_size, twice, Outcome{.state = State::kQueued},
        Outcome{.state = State::kFailed}, Outcome{.error = kOutOfMemory}}) {
    const auto finished = store().finish(lease, outcome);
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, ErrorCode::kInvalidArgument) << finished.error().message;
  }
  EXPECT_EQ(find(id).state, State::kRunning);
}

TEST_P(StoreContract, TheSamePictureOfTwoJobs) {
  std::vector<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    ids.push_back(submit(example_job()));
    ASSERT_TRUE(*store().finish(claim()->lease, {.pictures = {example_picture("same")}}));
  }
  for (const auto& id : ids) EXPECT_EQ(*store().read_result(id, 0), "same");
}

TEST_P(StoreContract, AJobGivenBackGoesToItsOldPlace) {
  const std::string first = submit(example_job());
  submit(example_job());
  const Lease lease = claim()->lease;
  EXPECT_TRUE(*store().give_back(lease, false, "drained"));
  EXPECT_FALSE(*store().give_back(lease, false, "drained"));
  EXPECT_FALSE(*store().finish(lease, {}));
  EXPECT_EQ(find(first).state, State::kQueued);
  const auto again = claim();
  EXPECT_EQ(again->job.id, first);
  EXPECT_EQ(again->lease.attempt, 2);
  EXPECT_EQ(types_of(*store().events(first)),
            (std::vector<std::string>{"queued", "running", "requeued", "running"}));
}

TEST_P(StoreContract, CrashesAreCountedAndOtherEndsOfAWorkerAreNot) {
  NewJob job = example_job();
  job.max_attempts = 2;
  const std::string id = submit(job);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(*store().give_back(claim()->lease, false, "drained"));
  EXPECT_TRUE(*store().give_back(claim()->lease, true, "the worker died"));
  EXPECT_EQ(find(id).state, State::kQueued);
  EXPECT_TRUE(*store().give_back(claim()->lease, false, "drained"));
  EXPECT_EQ(find(id).state, State::kQueued);
  EXPECT_TRUE(*store().give_back(claim()->lease, true, "the worker died"));
  const Job found = find(id);
  EXPECT_EQ(found.state, State::kFailed);
  ASSERT_TRUE(found.error);
  EXPECT_NE(found.error->message.find("the worker died"), std::string::npos);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, ALeaseThatRanOutIsTakenBackByASweep) {
  const std::string id = submit(example_job());
  const Lease lost = claim({.worker = "w1", .lease_ms = 1})->lease;
  std::this_thread::sleep_for(milliseconds(20));
  const auto changes = store().sweep();
  ASSERT_TRUE(changes) << changes.error().message;
  ASSERT_EQ(changes->size(), 1U);
  EXPECT_EQ(changes->front().job, id);
  EXPECT_EQ(changes->front().owner, "ann");
  EXPECT_EQ(changes->front().state, State::kQueued);
  EXPECT_TRUE(store().sweep()->empty());
  EXPECT_FALSE(store().renew(lost, 1000)->held);
  const Lease second = claim({.worker = "w1"})->lease;
  EXPECT_EQ(second.attempt, 2);
  EXPECT_FALSE(*store().finish(lost, {}));
  EXPECT_TRUE(*store().finish(second, {}));
}

TEST_P(StoreContract, LostLeasesCountAsCrashes) {
  NewJob job = example_job();
  job.max_attempts = 1;
  const std::string id = submit(job);
  claim({.worker = "w1", .lease_ms = 1});
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(store().sweep()->front().state, State::kFailed);
  EXPECT_EQ(find(id).state, State::kFailed);
}

TEST_P(StoreContract, ARenewedLeaseHolds) {
  submit(example_job());
  const Lease lease = claim({.worker = "w1", .lease_ms = 1})->lease;
  const auto renewed = store().renew(lease, 60'000);
  EXPECT_TRUE(renewed->held);
  EXPECT_EQ(renewed->cancel, CancelMode::kNone);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_TRUE(store().sweep()->empty());
  EXPECT_TRUE(*store().finish(lease, {}));
}

TEST_P(StoreContract, AQueuedJobIsCancelledAtOnce) {
  const std::string id = submit(example_job());
  EXPECT_EQ(*store().cancel(id, CancelMode::kDrop), State::kCancelled);
  EXPECT_EQ(*store().cancel(id, CancelMode::kInterrupt), State::kCancelled);
  EXPECT_EQ(find(id).state, State::kCancelled);
  EXPECT_FALSE(claim());
  EXPECT_TRUE(store().order(10)->empty());
}

TEST_P(StoreContract, ARunningJobIsAskedToEnd) {
  const std::string id = submit(example_job());
  const Lease lease = claim()->lease;
  EXPECT_EQ(*store().cancel(id, CancelMode::kInterrupt), State::kRunning);
  EXPECT_EQ(find(id).cancel, CancelMode::kInterrupt);
  auto renewed = store().renew(lease, 60'000);
  EXPECT_TRUE(renewed->held);
  EXPECT_EQ(renewed->cancel, CancelMode::kInterrupt);
  EXPECT_EQ(*store().cancel(id, CancelMode::kDrop), State::kRunning);
  EXPECT_EQ(store().renew(lease, 60'000)->cancel, CancelMode::kDrop);
  EXPECT_TRUE(*store().give_back(lease, true, "killed"));
  EXPECT_EQ(find(id).state, State::kCancelled);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, WhatIsPastItsDeadlineExpires) {
  NewJob job = example_job();
  job.deadline = now() + 60;
  const std::string running = submit(job), waiting = submit(job);
  const Lease lease = claim()->lease;
  EXPECT_TRUE(store().sweep()->empty());
  std::this_thread::sleep_for(milliseconds(80));
  EXPECT_FALSE(claim()) << "it would be too late";
  auto changes = *store().sweep();
  std::map<std::string, State> states;
  for (const Change& change : changes) states[change.job] = change.state;
  EXPECT_EQ(states,
            (std::map<std::string, State>{{running, State::kExpired}, {waiting, State::kExpired}}));
  EXPECT_EQ(find(running).state, State::kExpired);
  EXPECT_EQ(find(waiting).state, State::kExpired);
  EXPECT_FALSE(store().renew(lease, 1000)->held);
  EXPECT_FALSE(*store().finish(lease, {}));
}

TEST_P(StoreContract, EventsTellTheWayOfAJob) {
  const std::string id = submit(example_job());
  const Lease lease = claim()->lease;
  ASSERT_TRUE(store().cancel(id, CancelMode::kInterrupt));
  ASSERT_TRUE(*store().finish(lease, {.state = State::kCancelled, .error = kOutOfMemory}));
  const auto events = *store().events(id);
  EXPECT_EQ(types_of(events),
            (std::vector<std::string>{"queued", "running", "cancel_requested", "cancelled"}));
  for (size_t i = 1; i < events.size(); ++i) {
    EXPECT_GT(events[i].sequence, events[i - 1].sequence);
    EXPECT_GE(events[i].time, events[i - 1].time);
  }
  EXPECT_EQ(events.back().detail, "no memory left");
}

TEST_P(StoreContract, CountsAndCost) {
  for (int i = 0; i < 3; ++i) submit(example_job());
  const std::string id = submit(example_job("bob"));
  ASSERT_TRUE(store().cancel(id, CancelMode::kDrop));
  claim();
  auto counts = *store().counts();
  EXPECT_EQ(counts.jobs[State::kQueued], 2);
  EXPECT_EQ(counts.jobs[State::kRunning], 1);
  EXPECT_EQ(counts.jobs[State::kCancelled], 1);
  EXPECT_NEAR(counts.queued_cost, 2, 1e-9);
}

TEST_P(StoreContract, UsageIsWhatAnOwnerAskedFor) {
  const Time before = now();
  NewJob job = example_job();
  job.request.batch_count = 3;
  submit(job);
  job.idempotency_key = "k";
  submit(job);
  submit(job);
  submit(example_job("bob"));
  const auto usage = *store().usage("ann", before);
  EXPECT_EQ(usage.pictures, 6);
  EXPECT_NEAR(usage.cost, 6, 1e-9);
  EXPECT_EQ(store().usage("ann", now() + 1000)->pictures, 0);
  EXPECT_EQ(store().usage("nobody", 0)->pictures, 0);
}

TEST_P(StoreContract, OwnersShareByCost) {
  NewJob dear = example_job("dear");
  dear.request.steps = 4;
  for (int i = 0; i < 40; ++i) submit(dear);
  for (int i = 0; i < 40; ++i) submit(example_job("cheap"));
  std::map<std::string, double> served;
  for (int i = 0; i < 40; ++i) {
    const auto claimed = claim();
    ASSERT_TRUE(claimed);
    served[claimed->job.asked.owner] += cost_of(claimed->job.asked.request);
    EXPECT_NEAR(served["dear"], served["cheap"], 4 + 1e-9) << "after " << i;
  }
}

TEST_P(StoreContract, ALateOwnerDoesNotWaitForAllThatCameEarlier) {
  for (int i = 0; i < 20; ++i) submit(example_job("many"));
  for (int i = 0; i < 5; ++i) claim();
  submit(example_job("late"));
  EXPECT_EQ((*store().order(2)).size(), 2U);
  std::set<std::string> owners;
  for (int i = 0; i < 2; ++i) owners.insert(claim()->job.asked.owner);
  EXPECT_TRUE(owners.contains("late"));
}

TEST_P(StoreContract, OrderIsTheOrderOfClaims) {
  for (int i = 0; i < 30; ++i) {
    NewJob job = example_job("owner" + std::to_string(i % 7));
    job.request.steps = 1 + i % 5;
    job.priority = i % 3;
    submit(job);
  }
  const auto order = *store().order(100);
  ASSERT_EQ(order.size(), 30U);
  for (const auto& id : order) EXPECT_EQ(claim()->job.id, id);
}

TEST_P(StoreContract, JobsOfTheLoadedModelGoFirstForAWhile) {
  std::vector<std::string> of_a, of_b;
  of_a.push_back(submit(example_job("ann", "a")));
  for (int i = 0; i < 3; ++i) of_b.push_back(submit(example_job("bob", "b")));
  const ClaimOptions patient{.worker = "w", .loaded_model = "b", .patience_ms = 60'000};
  EXPECT_EQ(claim(patient)->job.id, of_b[0]);
  EXPECT_EQ(claim(patient)->job.id, of_b[1]);
  std::this_thread::sleep_for(milliseconds(20));
  const ClaimOptions impatient{.worker = "w", .loaded_model = "b", .patience_ms = 10};
  EXPECT_EQ(claim(impatient)->job.id, of_a[0]);
  EXPECT_EQ(claim(impatient)->job.id, of_b[2]);
}

TEST_P(StoreContract, AgeRemovesWhatHasEnded) {
  const std::string ended = submit(example_job());
  ASSERT_TRUE(*store().finish(claim()->lease, {.pictures = {example_picture("old")}}));
  const std::string waiting = submit(example_job());
  reopen({.max_age_ms = 1});
  std::this_thread::sleep_for(milliseconds(20));
  ASSERT_TRUE(store().sweep());
  EXPECT_EQ(store().find(ended).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store().read_result(ended, 0).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(find(waiting).state, State::kQueued);
  EXPECT_EQ(store().usage("ann", 0)->pictures, 2) << "quotas count it still";
}

TEST_P(StoreContract, BytesRemoveTheOldestResults) {
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(submit(example_job()));
    const std::string data(1000, static_cast<char>('a' + i / 2));  // two and two are the same
    ASSERT_TRUE(*store().finish(claim()->lease, {.pictures = {example_picture(data)}}));
    std::this_thread::sleep_for(milliseconds(2));
  }
  reopen({.max_bytes = 3000});
  ASSERT_TRUE(store().sweep());
  EXPECT_EQ(store().find(ids[0]).error().code, ErrorCode::kNotFound);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(store().read_result(ids[i], 0)->size(), 1000U) << i;
  }
}

TEST_P(StoreContract, ManyThreadsEndEachJobOnce) {
  constexpr int kSubmitters = 4, kWorkers = 3, kEach = 25;
  std::atomic<int> ended = 0, failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kSubmitters; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto accepted = store().submit({example_job("owner" + std::to_string(t))});
        if (!accepted || !store().find(accepted->front().id)) ++failures;
      }
    });
  }
  for (int t = 0; t < kWorkers; ++t) {
    threads.emplace_back([&, t] {
      while (ended < kSubmitters * kEach && failures == 0) {
        const auto claimed = store().claim({.worker = "w" + std::to_string(t)});
        if (!claimed) ++failures;
        if (!claimed || !*claimed) continue;
        const Lease& lease = (*claimed)->lease;
        const auto done = store().finish(lease, {.pictures = {example_picture(lease.job)}});
        if (!done || !*done || !store().counts()) ++failures;
        ++ended;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(ended, kSubmitters * kEach);
  const auto jobs = *store().list({.limit = 1000});
  ASSERT_EQ(jobs.size(), static_cast<size_t>(kSubmitters * kEach));
  for (const Job& job : jobs) {
    EXPECT_EQ(job.state, State::kSucceeded);
    EXPECT_EQ(job.attempt, 1);
    EXPECT_EQ(*store().read_result(job.id, 0), job.id);
  }
}

}  // namespace
}  // namespace safelight::jobs
