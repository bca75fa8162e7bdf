#include "api/submission.h"

#include <gtest/gtest.h>

#include "api/options.h"
#include "jobs/sqlite_store.h"
#include "support/fake_backend.h"

namespace safelight::api {
namespace {

class SubmissionTest : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  std::shared_ptr<jobs::Store> store_ =
      std::move(*jobs::open_sqlite_store({.folder = folder_.path() / "jobs"}));
  jobs::Service service_{store_};
  test::FakeCatalog catalog_;
  test::FakeWorkers workers_;
  std::unique_ptr<Options> options_ = std::move(*Options::open(folder_.path(), "/out"));
  Backend backend_{.jobs = service_,
                   .catalog = catalog_,
                   .workers = workers_,
                   .options = *options_,
                   .facts = {},
                   .limits = {.max_queue = 3, .job_timeout_ms = 500},
                   .shut_down = {},
                   .signing_key = "key"};
  const Principal user_{.name = "ann", .role = Role::kUser};

  static Submission owl() {
    Submission submission;
    submission.request.prompt = "owl";
    submission.source = "native";
    return submission;
  }
};

TEST_F(SubmissionTest, WhatIsStoredHasEveryChoiceMade) {
  Submission asked = owl();
  asked.priority = 50;
  asked.deadline_ms = 10'000;
  const auto accepted = submit(backend_, user_, {asked});
  ASSERT_TRUE(accepted) << accepted.error().message;
  const auto job = store_->find(accepted->front().id);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->asked.owner, "ann");
  EXPECT_GE(job->asked.request.seed, 0);
  EXPECT_GT(job->asked.request.width, 0);
  EXPECT_FALSE(job->asked.request.model.empty());
  EXPECT_EQ(job->asked.timeout_ms, 500);
  EXPECT_EQ(job->asked.priority, 0) << "only admins go before their turn";
  EXPECT_NEAR(static_cast<double>(job->asked.deadline), static_cast<double>(jobs::now() + 10'000),
              5'000);
}

TEST_F(SubmissionTest, SdWebuisClientsMayNameStylesThatThereAreNot) {
  Submission asked = owl();
  ASSERT_TRUE(submit(backend_, user_, {asked}));
  EXPECT_EQ(catalog_.unknown, UnknownNames::kRefuse);
  asked.source = "sdapi";
  ASSERT_TRUE(submit(backend_, user_, {asked}));
  EXPECT_EQ(catalog_.unknown, UnknownNames::kIgnore);
}

TEST_F(SubmissionTest, ARepeatedKeyIsTheSameJobThoughTheSeedWasDrawn) {
  Submission asked = owl();
  asked.idempotency_key = "k";
  const auto first = submit(backend_, user_, {asked});
  const auto again = submit(backend_, user_, {asked});
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->front().id, again->front().id);
  EXPECT_TRUE(again->front().repeated);
  asked.request.prompt = "another";
  EXPECT_EQ(submit(backend_, user_, {asked}).error().code, ErrorCode::kConflict);
}

TEST_F(SubmissionTest, OneWrongJobKeepsAllOut) {
  Submission wrong = owl();
  wrong.delivery.format = "bmp";
  const auto accepted = submit(backend_, user_, {owl(), wrong});
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().message.find("jobs[1]: "), 0U) << accepted.error().message;
  EXPECT_TRUE(store_->list({})->empty());
}

TEST_F(SubmissionTest, AFullQueueIsBusy) {
  ASSERT_TRUE(submit(backend_, user_, {owl(), owl(), owl()}));
  EXPECT_EQ(submit(backend_, user_, {owl()}).error().code, ErrorCode::kBusy);
}

TEST_F(SubmissionTest, QuotasCountWhatIsAskedFor) {
  Principal limited = user_;
  limited.quota.pictures = 5;
  Submission four = owl();
  four.request.batch_size = 4;
  EXPECT_TRUE(submit(backend_, limited, {four}));
  EXPECT_EQ(submit(backend_, limited, {four}).error().code, ErrorCode::kBusy);
  EXPECT_TRUE(submit(backend_, limited, {owl()}));
}

TEST_F(SubmissionTest, NothingAndTooMuchAreRefused) {
  EXPECT_EQ(submit(backend_, user_, {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(submit(backend_, user_, std::vector<Submission>(1001, owl())).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace safelight::api
