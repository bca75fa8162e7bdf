#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <fstream>

#include "base/file.h"
#include "jobs/schema.h"
#include "jobs/sqlite_store.h"
#include "store_contract.h"
#include "temporary_folder.h"

namespace safelight::jobs {
namespace {

namespace fs = std::filesystem;

Result<std::unique_ptr<Store>> open(const fs::path& folder) {
  return open_sqlite_store({.folder = folder});
}

/// A store with a finished job (its id is returned) and `queued` that wait.
std::string fill(const fs::path& folder, int queued, const std::string& picture = "picture") {
  const auto store = *open(folder);
  const std::string id = store->submit({example_job()})->front().id;
  EXPECT_TRUE(*store->finish((*store->claim({.worker = "w"}))->lease,
                             {.pictures = {example_picture(picture)}}));
  for (int i = 0; i < queued; ++i) EXPECT_TRUE(store->submit({example_job()}));
  return id;
}

fs::path result_path(const fs::path& folder, const std::string& data) {
  const std::string hash = example_picture(data).file.sha256;
  return folder / "results" / hash.substr(0, 2) / hash;
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void expect_refused(const fs::path& folder, ErrorCode code, const std::string& message) {
  const std::string before = *read_file(folder / "jobs.db");
  const auto store = open(folder);
  ASSERT_FALSE(store) << message;
  EXPECT_EQ(store.error().code, code) << store.error().message;
  EXPECT_NE(store.error().message.find(message), std::string::npos) << store.error().message;
  EXPECT_EQ(*read_file(folder / "jobs.db"), before) << "nothing is replaced";
}

TEST(SqliteFaults, ADamagedDatabaseIsRefusedAndKept) {
  const TemporaryFolder folder;
  fill(folder.path(), 100);
  const std::string whole = *read_file(folder.path() / "jobs.db");
  ASSERT_GT(whole.size(), 40'000U);
  for (const size_t at : {size_t{0}, size_t{100}, size_t{4096}, size_t{20'000}}) {
    std::string bad = whole;
    bad.replace(at, 4000, std::string(4000, '\x5a'));
    write(folder.path() / "jobs.db", bad);
    expect_refused(folder.path(), ErrorCode::kCorruptFile, "jobs.db");
  }
  write(folder.path() / "jobs.db", whole.substr(0, whole.size() / 2));
  expect_refused(folder.path(), ErrorCode::kCorruptFile, "damaged");
  write(folder.path() / "jobs.db", whole);
  EXPECT_TRUE(open(folder.path()));
}

TEST(SqliteFaults, ALostDatabaseDoesNotTakeTheResultsWithIt) {
  const TemporaryFolder folder;
  fill(folder.path(), 0);
  write(folder.path() / "jobs.db", "");
  expect_refused(folder.path(), ErrorCode::kCorruptFile, "is missing or empty");
  fs::remove(folder.path() / "jobs.db");
  EXPECT_EQ(open(folder.path()).error().code, ErrorCode::kCorruptFile);
  EXPECT_TRUE(fs::exists(result_path(folder.path(), "picture")));
}

TEST(SqliteFaults, DatabasesOfOthersAreRefused) {
  const TemporaryFolder folder;
  const auto make = [&](const char* sql) {
    fs::remove(folder.path() / "jobs.db");
    ASSERT_TRUE((*sqlite::Connection::open(folder.path() / "jobs.db", false))->script(sql));
  };
  make("CREATE TABLE songs(title TEXT)");
  expect_refused(folder.path(), ErrorCode::kCorruptFile, "no database of Safelight's jobs");
  make("CREATE TABLE t(x); PRAGMA application_id=7; PRAGMA user_version=1");
  expect_refused(folder.path(), ErrorCode::kCorruptFile, "no database of Safelight's jobs");
  fs::remove(folder.path() / "jobs.db");
  fill(folder.path(), 0);
  ASSERT_TRUE((*sqlite::Connection::open(folder.path() / "jobs.db", false))
                  ->script("PRAGMA user_version=99"));
  expect_refused(folder.path(), ErrorCode::kUnsupported, "newer Safelight");
}

TEST(SqliteFaults, ADamagedJobFailsAndThoseBehindItRun) {
  const TemporaryFolder folder;
  fill(folder.path(), 2);
  ASSERT_TRUE((*sqlite::Connection::open(folder.path() / "jobs.db", false))
                  ->script("UPDATE jobs SET asked = '{\"owner\": 3}' WHERE number = 2"));
  const auto store = *open(folder.path());
  const auto order = *store->order(10);
  const auto claimed = store->claim({.worker = "w"});
  ASSERT_TRUE(claimed) << claimed.error().message;
  EXPECT_EQ((*claimed)->job.id, order[1]);
  const auto changes = *store->sweep();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].job, order[0]);
  EXPECT_EQ(changes[0].state, State::kFailed);
  EXPECT_EQ(store->find(order[0]).error().code, ErrorCode::kCorruptFile);
}

TEST(SqliteFaults, AChangedResultIsNoticed) {
  const TemporaryFolder folder;
  const std::string id = fill(folder.path(), 0);
  const auto store = *open(folder.path());
  for (const char* changed : {"pictures", "pictur", "Picture"}) {
    write(result_path(folder.path(), "picture"), changed);
    EXPECT_EQ(store->read_result(id, 0).error().code, ErrorCode::kCorruptFile) << changed;
  }
  fs::remove(result_path(folder.path(), "picture"));
  EXPECT_EQ(store->read_result(id, 0).error().code, ErrorCode::kNotFound);
}

TEST(SqliteFaults, LeftoversOfACrashAreRemoved) {
  const TemporaryFolder folder;
  const std::string id = fill(folder.path(), 0);
  write(folder.path() / "results" / "unfinished" / "abc.XXXX", "half a pict");
  write(result_path(folder.path(), "never committed"), "never committed");
  EXPECT_TRUE(*open(folder.path()));
  EXPECT_FALSE(fs::exists(folder.path() / "results" / "unfinished" / "abc.XXXX"));
  EXPECT_TRUE(fs::exists(result_path(folder.path(), "never committed")))
      << "not every file is looked at after an end in order";
  write(folder.path() / "lock", "12345\n");  // as a server that was killed leaves it
  const auto store = *open(folder.path());
  EXPECT_FALSE(fs::exists(result_path(folder.path(), "never committed")));
  EXPECT_EQ(*store->read_result(id, 0), "picture");
}

TEST(SqliteFaults, ALostLeaseLeavesNoFiles) {
  const TemporaryFolder folder;
  const auto store = *open(folder.path());
  ASSERT_TRUE(store->submit({example_job()}));
  const Lease lease = (*store->claim({.worker = "w"}))->lease;
  ASSERT_TRUE(*store->finish(lease, {.pictures = {example_picture("kept")}}));
  EXPECT_FALSE(*store->finish(lease, {.pictures = {example_picture("late")}}));
  EXPECT_TRUE(fs::exists(result_path(folder.path(), "kept")));
  EXPECT_FALSE(fs::exists(result_path(folder.path(), "late")));
}

TEST(SqliteFaults, IdsGrowWhenTheClockWasSetBack) {
  const TemporaryFolder folder;
  fill(folder.path(), 0);
  ASSERT_TRUE((*sqlite::Connection::open(folder.path() / "jobs.db", false))
                  ->script("UPDATE jobs SET id = '7ZZZZZZZZZ0000000000000000'"));
  const auto store = *open(folder.path());
  EXPECT_EQ(store->submit({example_job()})->front().id, "7ZZZZZZZZZ0000000000000001");
}

/// What a store promises while its disk takes nothing and after.
void expect_full_disk_is_survived(Store& store, const std::function<void()>& fill_up,
                                  const std::function<void()>& make_room) {
  const auto before = *store.submit({example_job(), example_job()});
  const auto claimed = *store.claim({.worker = "w"});
  fill_up();
  NewJob large = example_job();
  large.request.prompt = std::string(300'000, 'x');
  for (int i = 0; i < 3; ++i) {
    const auto refused = store.submit({large});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kIo) << refused.error().message;
    EXPECT_NE(refused.error().message.find("nothing that was accepted is lost"), std::string::npos)
        << refused.error().message;
  }
  const Outcome outcome{.pictures = {example_picture(std::string(300'000, 'p'))}};
  const auto finished = store.finish(claimed->lease, outcome);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, ErrorCode::kIo) << finished.error().message;
  EXPECT_EQ(store.find(before[0].id)->state, State::kRunning);
  EXPECT_EQ(store.counts()->jobs[State::kQueued], 1);
  EXPECT_EQ(*store.order(10), std::vector{before[1].id});
  make_room();
  EXPECT_TRUE(*store.finish(claimed->lease, outcome));
  const auto accepted = store.submit({large});
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_EQ(store.find(accepted->front().id)->asked.request, large.request);
  EXPECT_EQ(store.read_result(before[0].id, 0)->size(), 300'000U);
}

TEST(SqliteFaults, FilesThatMayNotGrow) {
  const TemporaryFolder folder;
  const auto store = *open(folder.path());
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &usual), 0);
  expect_full_disk_is_survived(
      *store,
      [&] {
        const rlimit tight{.rlim_cur = 200'000, .rlim_max = usual.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
      },
      [&] { ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &usual), 0); });
}

/// A small file system in memory; only for root, where that may mount.
class SmallDisk {
 public:
  explicit SmallDisk(fs::path path) : path_(std::move(path)) {
    mounted_ = ::mount("none", path_.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  bool make_read_only(bool read_only) {
    return ::mount("none", path_.c_str(), "tmpfs", MS_REMOUNT | (read_only ? MS_RDONLY : 0),
                   "size=2m") == 0;
  }

 private:
  fs::path path_;
  bool mounted_;
};

TEST(SqliteFaults, AFullDisk) {
  const TemporaryFolder folder;
  const SmallDisk disk(folder.path());
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
  const auto store = *open(folder.path() / "data");
  const fs::path ballast = folder.path() / "ballast";
  expect_full_disk_is_survived(
      *store, [&] { write(ballast, std::string(size_t{4} << 20, 'b')); },
      [&] { fs::remove(ballast); });
}

TEST(SqliteFaults, AFullDiskAtStart) {
  const TemporaryFolder folder;
  const SmallDisk disk(folder.path());
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
  write(folder.path() / "ballast", std::string(size_t{4} << 20, 'b'));
  const auto refused = open(folder.path() / "data");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo) << refused.error().message;
  fs::remove(folder.path() / "ballast");
  EXPECT_TRUE(open(folder.path() / "data"));
}

TEST(SqliteFaults, AReadOnlyDisk) {
  const TemporaryFolder folder;
  SmallDisk disk(folder.path());
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
  fill(folder.path() / "data", 1);
  // A disk that fails becomes read-only only while no file of it is open for writing.
  ASSERT_TRUE(disk.make_read_only(true));
  const auto refused = open(folder.path() / "data");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo) << refused.error().message;
  EXPECT_NE(refused.error().message.find("Read-only"), std::string::npos)
      << refused.error().message;
  ASSERT_TRUE(disk.make_read_only(false));
  EXPECT_EQ((*open(folder.path() / "data"))->order(10)->size(), 1U);
}

}  // namespace
}  // namespace safelight::jobs
