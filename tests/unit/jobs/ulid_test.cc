#include "jobs/ulid.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace safelight::jobs {
namespace {

TEST(Ulid, TellsItsTime) {
  UlidGenerator ids;
  // The example of the specification of ULIDs.
  const std::string id = ids.next(1469922850259);
  EXPECT_EQ(id.substr(0, 10), "01ARZ3NDEK");
  EXPECT_EQ(id.size(), 26U);
  EXPECT_EQ(id.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), std::string::npos);
}

TEST(Ulid, GrowsWhateverTheClockDoes) {
  UlidGenerator ids;
  std::string last;
  for (const Time time : {5'000, 5'000, 5'001, 1'000, 0, 5'001, 9'000}) {
    const std::string id = ids.next(time);
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST(Ulid, CarriesIntoTheTime) {
  UlidGenerator ids;
  ids.follow("01ARZ3NDEKZZZZZZZZZZZZZZZZ");
  EXPECT_EQ(ids.next(0), "01ARZ3NDEM0000000000000000");
}

TEST(Ulid, FollowsOnlyUlids) {
  UlidGenerator ids;
  for (const char* text : {"", "x", "81ARZ3NDEKZZZZZZZZZZZZZZZZ", "01ARZ3NDEKZZZZZZZZZZZZZZZU"}) {
    ids.follow(text);
  }
  EXPECT_LT(ids.next(1'000), "0000000Z");
  ids.follow("7ZZZZZZZZZ0000000000000000");
  ids.follow("01ARZ3NDEKZZZZZZZZZZZZZZZZ");
  EXPECT_EQ(ids.next(1'000), "7ZZZZZZZZZ0000000000000001");
}

TEST(Ulid, NoneTwiceFromManyThreads) {
  UlidGenerator ids;
  constexpr size_t kThreads = 4, kEach = 1000;
  std::vector<std::vector<std::string>> made(kThreads);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < kEach; ++i) mine.push_back(ids.next(42));
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), kThreads * kEach);
}

}  // namespace
}  // namespace safelight::jobs
