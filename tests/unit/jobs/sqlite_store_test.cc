#include "jobs/sqlite_store.h"

#include <sys/stat.h>

#include <fstream>

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

TEST(SqliteStore, IdsGrowWhenTheClockWasSetBack) {
  const TemporaryFolder folder;
  auto store = open(folder.path());
  const std::string first = store->submit({example_job()})->front().id;
  store.reset();
  store = open(folder.path());
  EXPECT_GT(store->submit({example_job()})->front().id, first);
}

}  // namespace
}  // namespace safelight::jobs
