#include "app/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace safelight::app {
namespace {

// The handler may run on any thread, at any instruction; lock-free atomics are all it touches.
std::atomic<int> writes_under_way = 0;
std::atomic<int> pending_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

[[noreturn]] void end_by(int signal) {
  if (::isatty(STDERR_FILENO) != 0) {
    // The cursor may stand behind a progress line. A terminal that is gone does not matter now.
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, "\n", 1);
  }
  constexpr int kSignalStatus = 128;
  ::_exit(kSignalStatus + signal);
}

void handle(int signal) {
  pending_signal = signal;
  if (writes_under_way == 0) end_by(signal);
}

}  // namespace

void end_on_signals() {
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

bool end_is_wanted() { return pending_signal != 0; }

UninterruptedWrite::UninterruptedWrite() { ++writes_under_way; }

UninterruptedWrite::~UninterruptedWrite() {
  // In this order: a signal between the two is either seen here or finds no write under way.
  if (--writes_under_way == 0 && pending_signal != 0) end_by(pending_signal);
}

}  // namespace safelight::app
