#include "jobs/group_writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "jobs/read_pool.h"
#include "temporary_folder.h"

namespace safelight::jobs {
namespace {

using sqlite::Connection;

class GroupWriterTest : public ::testing::Test {
 protected:
  GroupWriterTest() {
    auto opened = Connection::open(path(), false);
    EXPECT_TRUE(opened);
    EXPECT_TRUE((*opened)->script("PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER UNIQUE)"));
    writer_ = std::make_unique<GroupWriter>(std::move(*opened));
  }

  std::filesystem::path path() const { return folder_.path() / "t.db"; }

  static Status insert(Connection& db, int64_t n) {
    const auto inserted = db.run("INSERT INTO t VALUES(?)", {n});
    return inserted ? Status() : inserted.error();
  }
  int64_t rows() {
    ReadPool pool(path());
    const auto counted = pool.read([](Connection& db) -> Result<int64_t> {
      int64_t count = -1;
      Status read = db.each("SELECT count(*) FROM t", {}, [&](const sqlite::Row& row) {
        count = row.integer(0);
        return Status();
      });
      return read ? Result<int64_t>(count) : read.error();
    });
    return counted ? *counted : -1;
  }

  TemporaryFolder folder_;
  std::unique_ptr<GroupWriter> writer_;
};

TEST_F(GroupWriterTest, AFailedChangeLeavesThoseBesideItAlone) {
  // The first holds the writer until the others wait behind it: they become one transaction.
  constexpr int kBehind = 10;
  std::promise<void> begun, go_on;
  std::thread first([&] {
    EXPECT_TRUE(writer_->run({.execute = [&](Connection& db) {
      begun.set_value();
      go_on.get_future().wait();
      return insert(db, 0);
    }}));
  });
  begun.get_future().wait();
  EXPECT_EQ(rows(), 0) << "reads do not wait";
  std::atomic<int> committed = 0, abandoned = 0, failed = 0;
  std::vector<std::thread> behind;
  for (int64_t i = 1; i <= kBehind; ++i) {
    behind.emplace_back([&, i] {
      const Status done = writer_->run({.execute =
                                            [&, i](Connection& db) {
                                              Status inserted = insert(db, 2 * i);
                                              return i == 3 ? insert(db, 0) : inserted;
                                            },
                                        .committed = [&] { ++committed; },
                                        .abandoned = [&] { ++abandoned; }});
      if (!done) ++failed;
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  go_on.set_value();
  first.join();
  for (auto& thread : behind) thread.join();
  EXPECT_EQ(committed, kBehind - 1);
  EXPECT_EQ(abandoned, 1);
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(rows(), kBehind) << "what the failed change had done is undone";
}

TEST_F(GroupWriterTest, WhatThrowsThrowsToItsCallerAlone) {
  bool abandoned = false;
  EXPECT_THROW(static_cast<void>(writer_->run({.execute = [&](Connection& db) -> Status {
                                                 EXPECT_TRUE(insert(db, 1));
                                                 throw std::runtime_error("a bug");
                                               },
                                               .abandoned = [&] { abandoned = true; }})),
               std::runtime_error);
  EXPECT_TRUE(abandoned);
  EXPECT_TRUE(writer_->run({.execute = [&](Connection& db) { return insert(db, 2); }}));
  EXPECT_EQ(rows(), 1);
}

TEST_F(GroupWriterTest, FollowersHearInTheOrderOfTheChanges) {
  std::vector<int64_t> executed, heard;
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 20; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_TRUE(writer_->run({.execute =
                                    [&, i](Connection& db) {
                                      executed.push_back(i);
                                      return insert(db, i);
                                    },
                                .committed = [&, i] { heard.push_back(i); },
                                .durable = i % 2 == 0}));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(heard, executed);
  EXPECT_EQ(rows(), 20);
}

}  // namespace
}  // namespace safelight::jobs
