#include "app/termination.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace safelight::app {
namespace {

/// Ends the waiting thread; blocked like the others.
constexpr int kFinish = SIGUSR2;

sigset_t awaited_signals(bool with_reload) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, kFinish}) ::sigaddset(&signals, signal);
  if (with_reload) ::sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

Termination::Termination(std::function<void()> end, std::function<void()> reload)
    : end_(std::move(end)), reload_(std::move(reload)) {
  const sigset_t signals = awaited_signals(reload_ != nullptr);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { run(); });
}

Termination::~Termination() {
  ::pthread_kill(thread_.native_handle(), kFinish);
  thread_.join();
}

void Termination::run() {
  const sigset_t signals = awaited_signals(reload_ != nullptr);
  std::thread ending;
  while (true) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (signal == kFinish) break;
    if (signal == SIGHUP) {
      reload_();
      continue;
    }
    if (ending.joinable()) {
      constexpr int kSignalStatus = 128;
      ::_exit(kSignalStatus + signal);
    }
    ending = std::thread(end_);
  }
  if (ending.joinable()) ending.join();
}

}  // namespace safelight::app
