#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <random>

#include "disk_model.h"
#include "jobs/sqlite_store.h"
#include "store_workload.h"
#include "unit/jobs/temporary_folder.h"

namespace safelight::fault {
namespace {

namespace fs = std::filesystem;
using jobs::TemporaryFolder;

/// How many moments of a run are looked at; more with SAFELIGHT_FAULT_CUTS.
size_t cuts() {
  constexpr size_t kShort = 25;
  const char* wanted = std::getenv("SAFELIGHT_FAULT_CUTS");
  return wanted == nullptr ? kShort : std::strtoul(wanted, nullptr, 10);
}

/// The calls of a run of store_workload in the folder `data` of `folder`.
std::vector<Call> record(const fs::path& folder, const char* size, const char* fail_sync) {
  fs::create_directory(folder / "data");
  const std::string data = (folder / "data").string(), log = (folder / "log").string();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("LD_PRELOAD", SAFELIGHT_RECORDER, 1);
    ::setenv("SAFELIGHT_RECORD_FOLDER", data.c_str(), 1);
    ::setenv("SAFELIGHT_RECORD_LOG", log.c_str(), 1);
    ::setenv("SAFELIGHT_FAIL_SYNC", fail_sync, 1);
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    ::execl(SAFELIGHT_WORKLOAD, SAFELIGHT_WORKLOAD, data.c_str(), size, nullptr);
    ::_exit(127);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return read_calls(log);
}

/// What is wrong with the store that a crash left, given the promises until then; empty when it is
/// whole.
std::string fault_of(const fs::path& folder, const std::vector<std::string>& promises) {
  const auto opened = jobs::open_sqlite_store({.folder = folder});
  if (!opened) return opened.error().message;
  jobs::Store& store = **opened;
  for (const std::string& promise : promises) {
    const std::string id = promise.substr(2);
    const auto job = store.find(id);
    if (!job) return promise + ": " + job.error().message;
    const auto& request = job->asked.request;
    if (request != workload_job(request.prompt.size()).request) return promise + ": changed";
    if (promise[0] == 'E' && job->state != jobs::State::kSucceeded) return promise + ": not ended";
    if (promise[0] == 'X' && job->state != jobs::State::kCancelled) return promise + ": runs on";
  }
  const auto ended = store.list({.states = {jobs::State::kSucceeded}, .limit = 100'000});
  if (!ended) return ended.error().message;
  for (const auto& job : *ended) {
    const auto picture = store.read_result(job.id, 0);
    if (!picture) return picture.error().message;
    if (*picture != workload_picture(job.id).data) return job.id + ": another picture";
  }
  const auto next = store.submit({workload_job(1)});
  if (!next) return next.error().message;
  const auto claim = store.claim({.worker = "w"});
  if (!claim) return claim.error().message;
  if (!*claim) return "nothing waits, though a job was just accepted";
  const auto done =
      store.finish((*claim)->lease, {.pictures = {workload_picture((*claim)->lease.job)}});
  return done && *done ? "" : "a job cannot be ended";
}

/// The first fault that a crash shows at any of the moments `at` (numbers of calls, ascending).
std::string first_fault(const std::vector<Call>& calls, const fs::path& data,
                        const std::vector<size_t>& at, bool with_unsynced) {
  DiskModel disk(data);
  std::vector<std::string> promises;
  std::mt19937 random(1);
  size_t next = 0;
  for (size_t i = 0; i <= calls.size() && next < at.size(); ++i) {
    for (; next < at.size() && at[next] == i; ++next) {
      const TemporaryFolder left;
      disk.crash(left.path(), with_unsynced ? &random : nullptr);
      const std::string fault = fault_of(left.path(), promises);
      if (!fault.empty()) return "after call " + std::to_string(i) + ": " + fault;
    }
    if (i == calls.size()) break;
    disk.apply(calls[i]);
    if (calls[i].kind == Call::Kind::kNote) promises.push_back(calls[i].path);
  }
  return "";
}

std::vector<size_t> some_moments(size_t calls) {
  std::mt19937 random(2);
  std::vector<size_t> at{calls};
  while (at.size() < cuts()) at.push_back(random() % calls);
  std::sort(at.begin(), at.end());
  return at;
}

/// Right behind promises, when least time has passed to keep them.
std::vector<size_t> moments_of_promises(const std::vector<Call>& calls) {
  std::vector<size_t> notes;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].kind == Call::Kind::kNote) notes.push_back(i + 1);
  }
  std::vector<size_t> at;
  const size_t step = std::max<size_t>(notes.size() / cuts(), 1);
  for (size_t i = 0; i < notes.size(); i += step) at.push_back(notes[i]);
  return at;
}

/// The same calls on a disk that ignores some syncs: a store that did without them.
std::vector<Call> without_syncs(const std::vector<Call>& calls, const fs::path& data,
                                const std::function<bool(const std::string& name)>& ignored) {
  std::map<int, std::string> names;
  std::vector<Call> left;
  for (const Call& call : calls) {
    if (call.kind == Call::Kind::kOpen) names[call.fd] = fs::relative(call.path, data).string();
    if (call.kind != Call::Kind::kSync || !ignored(names[call.fd])) left.push_back(call);
  }
  return left;
}

class Durability : public ::testing::Test {
 protected:
  std::vector<Call> record(const char* size, const char* fail_sync = "0") {
    return fault::record(folder_.path(), size, fail_sync);
  }
  std::string first_fault(const std::vector<Call>& calls, const std::vector<size_t>& at,
                          bool with_unsynced) {
    return fault::first_fault(calls, data(), at, with_unsynced);
  }
  fs::path data() const { return folder_.path() / "data"; }

 private:
  TemporaryFolder folder_;
};

TEST_F(Durability, WhatWasPromisedIsOnTheDisk) {
  const auto calls = record("small");
  const auto promises = std::count_if(
      calls.begin(), calls.end(), [](const Call& call) { return call.kind == Call::Kind::kNote; });
  ASSERT_GT(promises, 150);
  EXPECT_EQ(first_fault(calls, moments_of_promises(calls), false), "");
  EXPECT_EQ(first_fault(calls, some_moments(calls.size()), false), "");
  EXPECT_EQ(first_fault(calls, some_moments(calls.size()), true), "");
}

TEST_F(Durability, AlsoWhenTheLogIsCopiedIntoTheDatabaseMeanwhile) {
  const auto calls = record("large");
  const auto writes_database = [](const Call& call) {
    return call.kind == Call::Kind::kWrite && call.data.size() == 4096;
  };
  ASSERT_GT(std::count_if(calls.begin(), calls.end(), writes_database), 4000);
  EXPECT_EQ(first_fault(calls, moments_of_promises(calls), false), "");
  EXPECT_EQ(first_fault(calls, some_moments(calls.size()), true), "");
  const auto left =
      without_syncs(calls, data(), [](const auto& name) { return name == "jobs.db"; });
  EXPECT_NE(first_fault(left, moments_of_promises(left), false), "") << "the copy must be synced";
}

TEST_F(Durability, AlsoWhenTheDiskFailsToSync) {
  const auto calls = record("small", "9");
  const auto failed = std::count_if(calls.begin(), calls.end(), [](const Call& call) {
    return call.kind == Call::Kind::kFailedSync;
  });
  ASSERT_GT(failed, 3);
  EXPECT_EQ(first_fault(calls, moments_of_promises(calls), false), "");
}

TEST_F(Durability, EachSyncIsNeeded) {
  const auto calls = record("small");
  const auto fault_without = [&](const std::function<bool(const std::string&)>& ignored) {
    const auto left = without_syncs(calls, data(), ignored);
    return first_fault(left, moments_of_promises(left), false);
  };
  EXPECT_NE(fault_without([](const auto& name) { return name == "jobs.db-wal"; }), "");
  EXPECT_NE(fault_without([](const auto& name) { return name.starts_with("results/unfinished/"); }),
            "");
  EXPECT_NE(fault_without([](const auto& name) { return name == "results"; }), "");
  EXPECT_NE(fault_without([](const auto& name) { return name.size() == 10; }), "");  // results/ab
  EXPECT_NE(fault_without([](const auto& name) { return name == "."; }), "");
}

}  // namespace
}  // namespace safelight::fault
