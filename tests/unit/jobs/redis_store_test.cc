// The Redis store in a quiet world: what each call does.
#include "jobs/redis_store.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "unit/jobs/redis_server.h"

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;

class RedisStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::installed()) GTEST_SKIP() << "/usr/bin/redis-server is not installed";
    server_ = std::make_unique<RedisServer>();
    store_ = server_->open();
  }

  std::string submit(const NewJob& job) {
    auto accepted = store_->submit({job});
    EXPECT_TRUE(accepted) << accepted.error().message;
    return accepted ? accepted->at(0).id : "";
  }

  std::optional<Claim> claim(const std::string& worker = "w", const std::string& loaded = "",
                             int64_t patience_ms = 10'000, int64_t lease_ms = 15'000) {
    auto claim = store_->claim({.worker = worker,
                                .loaded_model = loaded,
                                .lease_ms = lease_ms,
                                .patience_ms = patience_ms});
    EXPECT_TRUE(claim) << claim.error().message;
    return claim ? *claim : std::nullopt;
  }

  State state(const std::string& id) {
    auto job = store_->find(id);
    EXPECT_TRUE(job) << job.error().message;
    return job ? job->state : State::kFailed;
  }

  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisStore> store_;
};

TEST_F(RedisStoreTest, KeepsEverythingOfAJob) {
  NewJob asked = small_job();
  asked.request.negative_prompt = "\xC3\xA4 \"quoted\"\n";
  asked.client_id = "task-1";
  asked.priority = 3;
  asked.timeout_ms = 5000;
  asked.traceparent = "00-1-2-03";
  const std::string id = submit(asked);
  EXPECT_EQ(id.size(), 26U);
  const auto job = store_->find(id);
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(job->asked.request, asked.request);
  EXPECT_EQ(job->asked.traceparent, asked.traceparent);
  EXPECT_EQ(job->asked.priority, 3);
  EXPECT_EQ(job->state, State::kQueued);
  EXPECT_NEAR(static_cast<double>(job->created), static_cast<double>(now()), 10'000);
  EXPECT_EQ(store_->find_client_id("ann", "task-1")->id, id);
  EXPECT_EQ(store_->find_client_id("bob", "task-1").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->find("nobody").error().code, ErrorCode::kNotFound);
}

TEST_F(RedisStoreTest, IdsGrowWithinABatch) {
  const std::vector<NewJob> jobs(300, small_job());
  const auto accepted = store_->submit(jobs);
  ASSERT_TRUE(accepted) << accepted.error().message;
  for (size_t i = 1; i < accepted->size(); i++) {
    EXPECT_LT((*accepted)[i - 1].id, (*accepted)[i].id);
  }
  const auto order = store_->order(1000);
  ASSERT_TRUE(order) << order.error().message;
  ASSERT_EQ(order->size(), 300U);
  EXPECT_EQ(order->front(), accepted->front().id);
  EXPECT_EQ(store_->counts()->jobs.at(State::kQueued), 300);
  EXPECT_NEAR(store_->counts()->queued_cost, 300, 1e-6);
}

TEST_F(RedisStoreTest, TheSameKeyIsTheSameJob) {
  NewJob job = small_job();
  job.idempotency_key = "k";
  job.fingerprint = "f";
  const auto twice = store_->submit({job, job});
  ASSERT_TRUE(twice) << twice.error().message;
  EXPECT_FALSE((*twice)[0].repeated);
  EXPECT_TRUE((*twice)[1].repeated);
  EXPECT_EQ((*twice)[0].id, (*twice)[1].id);
  const auto again = store_->submit({job});
  EXPECT_TRUE(again->at(0).repeated);
  EXPECT_EQ(again->at(0).id, (*twice)[0].id);
  NewJob other = job;
  other.fingerprint = "g";
  const auto refused = store_->submit({small_job(), other});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_EQ(store_->counts()->jobs.at(State::kQueued), 1) << "all or none";
  other.owner = "bob";
  EXPECT_FALSE(store_->submit({other})->at(0).repeated) << "keys are of an owner";
}

TEST_F(RedisStoreTest, OwnersTakeTurnsByCost) {
  for (int i = 0; i < 6; i++) submit(small_job("ann", 10));
  for (int i = 0; i < 6; i++) submit(small_job("bob", 5));
  const auto order = store_->order(100);
  ASSERT_TRUE(order) << order.error().message;
  double served_ann = 0, served_bob = 0;
  for (const std::string& expected : *order) {
    const auto got = claim();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->job.id, expected);
    (got->job.asked.owner == "ann" ? served_ann : served_bob) += cost_of(got->job.asked.request);
    if (served_bob < 30) {
      EXPECT_LE(std::abs(served_ann - served_bob), 10);
    }
  }
  EXPECT_FALSE(claim());
}

TEST_F(RedisStoreTest, PriorityThenAgeWithinAnOwner) {
  const std::string old = submit(small_job());
  NewJob urgent = small_job();
  urgent.priority = 5;
  const std::string first = submit(urgent), second = submit(urgent);
  EXPECT_EQ(claim()->job.id, first);
  EXPECT_EQ(claim()->job.id, second);
  EXPECT_EQ(claim()->job.id, old);
}

TEST_F(RedisStoreTest, TheLoadedModelGoesFirstForAWhile) {
  NewJob other = small_job();
  other.model_sha256 = "aaaa";
  const std::string early = submit(other);
  other.model_sha256 = "bbbb";
  const std::string b1 = submit(other), b2 = submit(other), b3 = submit(other);
  EXPECT_EQ(claim("w", "bbbb", 300)->job.id, b1);
  EXPECT_EQ(claim("w", "bbbb", 300)->job.id, b2);
  std::this_thread::sleep_for(milliseconds(350));
  EXPECT_EQ(claim("w", "bbbb", 300)->job.id, early);
  EXPECT_EQ(claim("w", "bbbb", 300)->job.id, b3);
}

TEST_F(RedisStoreTest, AWorkerOfAnotherPolicyMayNotClaim) {
  NewJob strict = small_job();
  strict.policy = "strict-1";
  const std::string id = submit(strict);
  EXPECT_FALSE(claim());
  EXPECT_EQ(store_->order(10)->at(0), id);
  const auto got = store_->claim({.worker = "w", .policy = "strict-1"});
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->job.id, id);
  EXPECT_EQ((*got)->job.asked.policy, "strict-1");
}

TEST_F(RedisStoreTest, TheFirstCommitWins) {
  const std::string id = submit(small_job());
  const auto got = claim();
  ASSERT_TRUE(got);
  const Outcome outcome{.pictures = {picture_of("one"), picture_of(std::string("t\0wo", 4), 1)}};
  EXPECT_TRUE(*store_->finish(got->lease, outcome));
  EXPECT_FALSE(*store_->finish(got->lease, outcome));
  EXPECT_FALSE(*store_->give_back(got->lease, true, "late"));
  EXPECT_FALSE(store_->renew(got->lease, 1000)->held);
  const auto job = store_->find(id);
  EXPECT_EQ(job->state, State::kSucceeded);
  EXPECT_GE(job->finished, job->started);
  ASSERT_EQ(job->results.size(), 2U);
  EXPECT_EQ(*store_->read_result(id, 1), std::string("t\0wo", 4));
  EXPECT_EQ(store_->read_result(id, 2).error().code, ErrorCode::kNotFound);
  std::vector<std::string> types;
  const auto events = store_->events(id);
  for (const StoredEvent& event : *events) types.push_back(event.type);
  EXPECT_EQ(types, (std::vector<std::string>{"queued", "running", "succeeded"}));
}

TEST_F(RedisStoreTest, PicturesAreCheckedOnTheirWayInAndOut) {
  const std::string id = submit(small_job());
  const auto got = claim();
  FinishedPicture wrong = picture_of("one");
  wrong.data = "two";
  EXPECT_FALSE(store_->finish(got->lease, {.pictures = {wrong}}));
  EXPECT_TRUE(*store_->finish(got->lease, {.pictures = {picture_of("one")}}));
  const std::string key = "safelight:blob:" + picture_of("one").file.sha256;
  ASSERT_TRUE(store_->pool().call({"SET", key, "0ne"}));
  EXPECT_EQ(store_->read_result(id, 0).error().code, ErrorCode::kCorruptFile);
  ASSERT_TRUE(store_->pool().call({"DEL", key}));
  EXPECT_EQ(store_->read_result(id, 0).error().code, ErrorCode::kNotFound);
}

TEST_F(RedisStoreTest, GivenBackJobsKeepTheirPlace) {
  const std::string first = submit(small_job()), second = submit(small_job());
  const auto got = claim("w1");
  EXPECT_TRUE(*store_->give_back(got->lease, false, "drained"));
  EXPECT_EQ(store_->order(10)->front(), first);
  const auto again = claim("w2");
  EXPECT_EQ(again->job.id, first);
  EXPECT_FALSE(*store_->finish(got->lease, {})) << "that lease is gone";
  EXPECT_EQ(claim()->job.id, second);
}

TEST_F(RedisStoreTest, CrashesAreCountedUpToALimit) {
  NewJob asked = small_job();
  asked.max_attempts = 2;
  const std::string id = submit(asked);
  EXPECT_TRUE(*store_->give_back(claim()->lease, true, "died"));
  EXPECT_TRUE(*store_->give_back(claim()->lease, false, "drained"));
  EXPECT_EQ(state(id), State::kQueued);
  EXPECT_TRUE(*store_->give_back(claim()->lease, true, "died"));
  const auto job = store_->find(id);
  EXPECT_EQ(job->state, State::kFailed);
  ASSERT_TRUE(job->error);
  EXPECT_EQ(job->error->message, "died (tried 2 times)");
}

TEST_F(RedisStoreTest, CancelOfQueuedAndRunning) {
  const std::string queued = submit(small_job());
  EXPECT_EQ(*store_->cancel(queued, CancelMode::kDrop), State::kCancelled);
  EXPECT_FALSE(claim());
  EXPECT_EQ(*store_->cancel(queued, CancelMode::kDrop), State::kCancelled);
  EXPECT_EQ(store_->cancel("nobody", CancelMode::kDrop).error().code, ErrorCode::kNotFound);

  const std::string running = submit(small_job());
  const auto got = claim();
  EXPECT_EQ(*store_->cancel(running, CancelMode::kInterrupt), State::kRunning);
  EXPECT_EQ(store_->renew(got->lease, 1000)->cancel, CancelMode::kInterrupt);
  EXPECT_EQ(*store_->cancel(running, CancelMode::kDrop), State::kRunning);
  EXPECT_EQ(store_->find(running)->cancel, CancelMode::kDrop);
  EXPECT_TRUE(*store_->give_back(got->lease, true, "died"));
  EXPECT_EQ(state(running), State::kCancelled) << "nobody wants it drawn again";
  EXPECT_NEAR(store_->counts()->queued_cost, 0, 1e-9);
}

TEST_F(RedisStoreTest, LeasesRunOut) {
  const std::string id = submit(small_job());
  const auto dead = claim("dead", "", 0, 100);
  EXPECT_TRUE(store_->sweep()->empty());
  EXPECT_TRUE(store_->renew(dead->lease, 300)->held);
  std::this_thread::sleep_for(milliseconds(150));
  EXPECT_TRUE(store_->sweep()->empty()) << "it was renewed";
  std::this_thread::sleep_for(milliseconds(250));
  const auto changes = store_->sweep();
  ASSERT_EQ(changes->size(), 1U);
  EXPECT_EQ(changes->at(0).job, id);
  EXPECT_EQ(changes->at(0).owner, "ann");
  EXPECT_EQ(changes->at(0).state, State::kQueued);
  EXPECT_FALSE(store_->renew(dead->lease, 300)->held);
  EXPECT_EQ(claim("alive")->job.attempt, 2);
  EXPECT_FALSE(*store_->finish(dead->lease, {}));
}

TEST_F(RedisStoreTest, AClockThatGoesBackHoldsNoLease) {
  const std::string id = submit(small_job());
  // As if the server's clock had shown the time in an hour, when the job was claimed.
  const std::string later = std::to_string(now() + 3'600'000);
  ASSERT_TRUE(store_->pool().call({"HSET", "safelight:clock", "raw", later, "time", later}));
  ASSERT_TRUE(claim("dead", "", 0, 100));
  std::this_thread::sleep_for(milliseconds(150));
  ASSERT_EQ(store_->sweep()->size(), 1U);
  EXPECT_EQ(state(id), State::kQueued);
}

TEST_F(RedisStoreTest, AClockThatGoesForwardLosesNoLease) {
  submit(small_job());
  const auto running = claim("alive", "", 0, 10'000);
  // As if it had shown the time an hour ago, when the job was claimed; or the server had been away.
  const std::string earlier = std::to_string(now() - 3'600'000);
  ASSERT_TRUE(store_->pool().call({"HSET", "safelight:clock", "raw", earlier}));
  EXPECT_TRUE(store_->sweep()->empty());
  EXPECT_TRUE(store_->renew(running->lease, 10'000)->held);
}

TEST_F(RedisStoreTest, IdsGrowWhenTheClockGoesBack) {
  const std::string later = std::to_string(now() + 3'600'000);
  ASSERT_TRUE(store_->pool().call({"HSET", "safelight:ids", "time", later, "count", "5"}));
  const std::string first = submit(small_job()), second = submit(small_job());
  EXPECT_LT(first, second);
}

TEST_F(RedisStoreTest, DeadlinesExpire) {
  NewJob asked = small_job();
  asked.deadline = now() + 100;
  const std::string waiting = submit(asked), unlucky = submit(asked);
  asked.owner = "zoe";
  asked.priority = 1;
  submit(asked);
  const auto running = claim();
  std::this_thread::sleep_for(milliseconds(150));
  EXPECT_FALSE(claim()) << "too late to begin";
  EXPECT_EQ(store_->sweep()->size(), 3U);
  EXPECT_EQ(state(running->job.id), State::kExpired);
  EXPECT_EQ(state(waiting), State::kExpired);
  EXPECT_EQ(state(unlucky), State::kExpired);
  EXPECT_FALSE(*store_->finish(running->lease, {}));
}

TEST_F(RedisStoreTest, RetentionRemovesTheOldest) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; i++) {
    ids.push_back(submit(small_job()));
    // The first two share a picture.
    const std::string data(100, i < 2 ? 'a' : 'b');
    ASSERT_TRUE(*store_->finish(claim()->lease, {.pictures = {picture_of(data)}}));
  }
  RedisOptions options = server_->options();
  options.retention.max_bytes = 200;
  ASSERT_TRUE(RedisServer::open(options)->sweep());
  EXPECT_EQ(store_->find(ids[0]).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*store_->read_result(ids[1], 0), std::string(100, 'a'))
      << "its picture has another job";
  options.retention.max_bytes = 0;
  options.retention.max_age_ms = 1;
  std::this_thread::sleep_for(milliseconds(5));
  ASSERT_TRUE(RedisServer::open(options)->sweep());
  EXPECT_TRUE(store_->list({})->empty());
  const auto left = store_->pool().call({"KEYS", "safelight:blob*"});
  EXPECT_TRUE(left->items.empty());
}

TEST_F(RedisStoreTest, UsageIsASumSinceATime) {
  NewJob big = small_job("ann", 10);
  big.request.batch_size = 2;
  submit(big);
  std::this_thread::sleep_for(milliseconds(20));
  const Time between = store_->find(submit(small_job("ann", 5)))->created;
  submit(small_job("bob"));
  EXPECT_EQ(store_->usage("ann", 0)->pictures, 3);
  EXPECT_NEAR(store_->usage("ann", 0)->cost, 25, 1e-9);
  EXPECT_EQ(store_->usage("ann", between)->pictures, 1);
  EXPECT_NEAR(store_->usage("ann", between)->cost, 5, 1e-9);
  EXPECT_EQ(store_->usage("zoe", 0)->pictures, 0);
}

TEST_F(RedisStoreTest, ListsNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; i++) ids.push_back(submit(small_job(i % 2 == 0 ? "ann" : "bob")));
  ASSERT_TRUE(store_->cancel(ids[4], CancelMode::kDrop));
  const auto ids_of = [&](const JobQuery& query) {
    std::vector<std::string> listed;
    const auto jobs = store_->list(query);
    for (const Job& job : *jobs) listed.push_back(job.id);
    return listed;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids_of({.limit = 2}), (Ids{ids[4], ids[3]}));
  EXPECT_EQ(ids_of({.before = ids[3]}), (Ids{ids[2], ids[1], ids[0]}));
  EXPECT_EQ(ids_of({.owner = "ann"}), (Ids{ids[4], ids[2], ids[0]}));
  EXPECT_EQ(ids_of({.states = {State::kCancelled}}), (Ids{ids[4]}));
  EXPECT_EQ(ids_of({.owner = "bob", .states = {State::kCancelled}}), Ids{});
}

TEST_F(RedisStoreTest, ManyClaimAtOnceAndNoJobTwice) {
  constexpr size_t kJobs = 120;
  ASSERT_TRUE(store_->submit(std::vector<NewJob>(kJobs, small_job())));
  std::mutex mutex;
  std::multiset<std::string> claimed;
  std::vector<std::jthread> workers;
  for (int i = 0; i < 4; i++) {
    workers.emplace_back([&, i] {
      while (const auto got = claim("w" + std::to_string(i))) {
        const std::lock_guard lock(mutex);
        claimed.insert(got->job.id);
      }
    });
  }
  workers.clear();
  EXPECT_EQ(claimed.size(), kJobs);
  EXPECT_EQ(std::set(claimed.begin(), claimed.end()).size(), kJobs);
}

TEST_F(RedisStoreTest, ARepeatedCallDoesNothingTwice) {
  const RedisScript submit_script("submit"), claim_script("claim");
  std::vector<std::string> words{"token", "origin", "0123456789AB", "{}", "ann", "0", "1",
                                 "1",     "m",      "off",          "",   "",    "",  "0",
                                 "3"};
  const std::vector<std::string_view> arguments(words.begin(), words.end());
  const auto first = store_->pool().run(submit_script, "safelight:", arguments);
  const auto again = store_->pool().run(submit_script, "safelight:", arguments);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->items.at(1).text, again->items.at(1).text);
  EXPECT_EQ(store_->counts()->jobs.at(State::kQueued), 1);
  const std::vector<std::string_view> wanted{"t2", "origin", "w", "", "1000", "0", "off"};
  ASSERT_FALSE(store_->pool().run(claim_script, "safelight:", wanted)->items.empty());
  EXPECT_FALSE(store_->pool().run(claim_script, "safelight:", wanted)->nil());
  const std::vector<std::string_view> fresh{"t3", "origin", "w", "", "1000", "0", "off"};
  EXPECT_TRUE(store_->pool().run(claim_script, "safelight:", fresh)->nil());
}

TEST_F(RedisStoreTest, AServerThatForgotItsScripts) {
  submit(small_job());
  ASSERT_TRUE(store_->pool().call({"SCRIPT", "FLUSH"}));
  submit(small_job());
  EXPECT_TRUE(claim());
}

TEST_F(RedisStoreTest, ServicesOfOtherNamesAreApart) {
  submit(small_job());
  RedisOptions options = server_->options();
  options.name_prefix = "other";
  const auto other = RedisServer::open(options);
  EXPECT_TRUE(other->list({})->empty());
  EXPECT_FALSE(*other->claim({.worker = "w"}));
}

}  // namespace
}  // namespace safelight::jobs
