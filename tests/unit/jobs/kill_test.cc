#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "jobs/sqlite_store.h"
#include "store_contract.h"
#include "temporary_folder.h"

namespace safelight::jobs {
namespace {

/// What a killed server was heard to promise, over all rounds.
struct Heard {
  std::set<std::string> accepted, ended;
};

std::string picture_of(const std::string& id) { return std::string(20'000, 'p') + id; }

/// One write to a pipe is whole or not at all.
void tell(int pipe, char what, const std::string& id) {
  const std::string line = std::string(1, what) + id + "\n";
  if (::write(pipe, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
}

/// Accepts, runs and ends jobs until it is killed.
[[noreturn]] void serve(const std::filesystem::path& folder, int pipe, unsigned seed) {
  auto opened = open_sqlite_store({.folder = folder});
  if (!opened) ::_exit(2);
  Store& store = **opened;
  std::thread submitter([&] {
    std::mt19937 random(seed);
    for (;;) {
      const auto accepted = store.submit(std::vector<NewJob>(1 + random() % 3, example_job("ann")));
      if (!accepted) ::_exit(4);
      for (const auto& job : *accepted) tell(pipe, 'A', job.id);
    }
  });
  for (;;) {
    const auto claimed = store.claim({.worker = "w"});
    if (!claimed) ::_exit(5);
    if (!*claimed) continue;
    const Lease& lease = (*claimed)->lease;
    tell(pipe, 'C', lease.job);
    const auto done = store.finish(lease, {.pictures = {example_picture(picture_of(lease.job))}});
    if (!done || !*done) ::_exit(6);
    tell(pipe, 'E', lease.job);
  }
}

/// Runs a server for so long, then kills it; what it told until then.
std::string serve_and_kill(const std::filesystem::path& folder, unsigned seed, int milliseconds) {
  int pipe[2];
  EXPECT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    serve(folder, pipe[1], seed);
  }
  ::close(pipe[1]);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(child, SIGKILL);
  });
  std::string told, buffer(4096, '\0');
  for (ssize_t got; (got = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) {
    told.append(buffer, 0, static_cast<size_t>(got));
  }
  killer.join();
  ::close(pipe[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself with " << WEXITSTATUS(status);
  return told;
}

void take_note(const std::string& told, Heard& heard) {
  std::istringstream lines(told);
  for (std::string line; std::getline(lines, line);) {
    const std::string id = line.substr(1);
    if (line[0] == 'A') heard.accepted.insert(id);
    if (line[0] == 'C') {
      EXPECT_FALSE(heard.ended.contains(id)) << "a finished job ran again";
    } else if (line[0] == 'E') {
      EXPECT_TRUE(heard.ended.insert(id).second) << "a job ended twice";
    }
  }
}

void check(Store& store, const Heard& heard) {
  for (const auto& id : heard.accepted) {
    const auto job = store.find(id);
    ASSERT_TRUE(job) << job.error().message;
    EXPECT_NE(job->state, State::kRunning);
    EXPECT_EQ(job->asked.request, example_job().request);
  }
  for (const auto& id : heard.ended) EXPECT_EQ(store.find(id)->state, State::kSucceeded);
  const auto succeeded = *store.list({.states = {State::kSucceeded}, .limit = 100'000});
  for (const auto& job : succeeded) {
    const auto picture = store.read_result(job.id, 0);
    ASSERT_TRUE(picture) << picture.error().message;
    EXPECT_EQ(*picture, picture_of(job.id));
  }
}

TEST(Kill, NothingPromisedIsLost) {
  const TemporaryFolder folder;
  constexpr unsigned kRounds = 6;
  Heard heard;
  std::mt19937 random(7);
  for (unsigned round = 0; round < kRounds; ++round) {
    const int milliseconds = 20 + static_cast<int>(random() % 250);
    take_note(serve_and_kill(folder.path(), round, milliseconds), heard);
    const auto store = open_sqlite_store({.folder = folder.path()});
    ASSERT_TRUE(store) << store.error().message;
    check(**store, heard);
  }
  EXPECT_FALSE(heard.accepted.empty());
  EXPECT_FALSE(heard.ended.empty());
}

}  // namespace
}  // namespace safelight::jobs
