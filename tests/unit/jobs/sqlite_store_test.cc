#include "jobs/sqlite_store.h"

#include <sys/stat.h>

#include <chrono>

#include "store_contract.h"
#include "temporary_folder.h"

namespace safelight::jobs {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Store> open(const fs::path& folder, const Retention& retention = {}) {
  auto store = open_sqlite_store({.folder = folder, .retention = retention});
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}

class SqliteHarness final : public StoreHarness {
 public:
  void open(const Retention& retention) override {
    store_.reset();
    store_ = jobs::open(folder_.path() / "data", retention);
  }
  Store& store() override { return *store_; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

std::unique_ptr<StoreHarness> make_harness() { return std::make_unique<SqliteHarness>(); }

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, ::testing::Values(&make_harness),
                         [](const auto&) { return std::string("Store"); });

TEST(SqliteStore, TheFolderIsForItsUserAlone) {
  const TemporaryFolder folder;
  const fs::path data = folder.path() / "a" / "b";
  const auto store = open(data);
  struct stat info {};
  ASSERT_EQ(::stat(data.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST(SqliteStore, AFolderIsForOneServer) {
  const TemporaryFolder folder;
  auto store = open(folder.path());
  const auto second = open_sqlite_store({.folder = folder.path()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos)
      << second.error().message;
  store.reset();
  EXPECT_TRUE(open(folder.path()));
}

TEST(SqliteStore, WhatRanGoesBackIntoTheQueueUncounted) {
  const TemporaryFolder folder;
  auto store = open(folder.path());
  NewJob job = example_job();
  job.max_attempts = 1;
  const auto accepted = *store->submit({job, job});
  ASSERT_TRUE(*store->claim({.worker = "w"}));
  ASSERT_TRUE(*store->claim({.worker = "w"}));
  ASSERT_TRUE(store->cancel(accepted[1].id, CancelMode::kDrop));
  store.reset();
  store = open(folder.path());
  EXPECT_EQ(store->find(accepted[0].id)->state, State::kQueued);
  EXPECT_EQ(store->find(accepted[1].id)->state, State::kCancelled);
  const auto again = *store->claim({.worker = "w"});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->lease.attempt, 2);
  EXPECT_FALSE(*store->claim({.worker = "w"}));
}

TEST(SqliteStore, TenThousandJobsOfAThousandOwners) {
  using Clock = std::chrono::steady_clock;
  const TemporaryFolder folder;
  auto store = open(folder.path());
  for (int batch = 0; batch < 10; ++batch) {
    std::vector<NewJob> jobs;
    for (int i = 0; i < 1000; ++i) jobs.push_back(example_job("owner" + std::to_string(i)));
    ASSERT_TRUE(store->submit(jobs));
  }
  store.reset();
  store = open(folder.path());
  const auto milliseconds_each = [](int times, const auto& act) {
    const auto begin = Clock::now();
    for (int i = 0; i < times; ++i) act();
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count() / times;
  };
  // Bounds for slow disks and sanitizers; without either all of them are far below.
  EXPECT_LT(milliseconds_each(50, [&] { ASSERT_TRUE(store->submit({example_job()})); }), 100);
  EXPECT_LT(milliseconds_each(50, [&] { ASSERT_TRUE(*store->claim({.worker = "w"})); }), 20);
  EXPECT_LT(milliseconds_each(5, [&] { ASSERT_EQ(store->order(20'000)->size(), 10'000U); }), 300);
  EXPECT_LT(milliseconds_each(50, [&] { ASSERT_TRUE(store->counts()); }), 20);
  EXPECT_LT(milliseconds_each(50, [&] { ASSERT_TRUE(store->list({.owner = "owner7"})); }), 50);
}

}  // namespace
}  // namespace safelight::jobs
