// Works a job store hard, and notes each promise that it gets among the calls that record_io.c
// writes down: "A id" for an accepted job, "E id" for an end that was reported, "X id" for a
// cancel. Usage: store_workload FOLDER [large]

#include "store_workload.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "jobs/sqlite_store.h"

namespace safelight::fault {
namespace {

void note(char what, const std::string& id) {
  using Note = void (*)(const char*);
  static const auto write_note = reinterpret_cast<Note>(::dlsym(RTLD_DEFAULT, "safelight_note"));
  if (write_note != nullptr) write_note(fmt::format("{} {}", what, id).c_str());
}

/// A failed sync may refuse a call, with an error of the disk; anything else is a bug.
template <class T>
bool worked(const Result<T>& result) {
  if (result) return true;
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  if (result.error().code != ErrorCode::kIo) std::exit(1);
  return false;
}

void submit(jobs::Store& store, unsigned seed, int times, size_t prompt_bytes) {
  std::mt19937 random(seed);
  for (int i = 0; i < times; ++i) {
    const size_t count = 1 + random() % 3;
    const auto accepted =
        store.submit(std::vector<jobs::NewJob>(count, workload_job(prompt_bytes)));
    if (!worked(accepted)) continue;
    for (const auto& job : *accepted) note('A', job.id);
    if (i % 5 != 0) continue;
    const auto state = store.cancel(accepted->front().id, jobs::CancelMode::kDrop);
    if (worked(state) && *state == jobs::State::kCancelled) note('X', accepted->front().id);
  }
}

void work(jobs::Store& store, int times) {
  for (int i = 0; i < times; ++i) {
    const auto claim = store.claim({.worker = "w"});
    if (!worked(claim) || !*claim) continue;
    const jobs::Lease& lease = (*claim)->lease;
    if (i % 7 == 0) {
      static_cast<void>(worked(store.give_back(lease, false, "drained")));
      continue;
    }
    // An end that a failing disk did not take is reported again.
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto done = store.finish(lease, {.pictures = {workload_picture(lease.job)}});
      if (worked(done) && *done) note('E', lease.job);
      if (done) break;
    }
  }
}

int run(const std::string& folder, bool large) {
  // Twice, so that an end in order and what follows it are among the calls.
  for (unsigned round = 0; round < 2; ++round) {
    auto store = jobs::open_sqlite_store({.folder = folder});
    for (int again = 0; again < 3 && !worked(store); ++again) {
      store = jobs::open_sqlite_store({.folder = folder});
    }
    if (!store) return 1;
    const size_t prompt_bytes = large ? 300'000 : 50;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { submit(**store, round, 20, prompt_bytes); });
    threads.emplace_back([&] { submit(**store, round + 10, 20, 50); });
    threads.emplace_back([&] { work(**store, 40); });
    for (auto& thread : threads) thread.join();
  }
  return 0;
}

}  // namespace
}  // namespace safelight::fault

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    return safelight::fault::run(argv[1], argc > 2 && std::string_view(argv[2]) == "large");
  } catch (const std::exception& bug) {
    std::fprintf(stderr, "%s\n", bug.what());
    return 1;
  }
}
