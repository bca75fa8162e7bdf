#include "jobs/worker_process.h"

#include <signal.h>

namespace safelight::jobs {
namespace {

constexpr int64_t kPatienceMs = 1000;  // between closing the channel and the kill

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(const std::vector<std::string>& command,
                                                            int niceness, Handlers handlers) {
  auto child = ChildProcess::spawn({.command = command, .niceness = niceness});
  if (!child) return child.error();
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(std::move(*child), std::move(handlers)));
}

WorkerProcess::WorkerProcess(ChildProcess child, Handlers handlers)
    : child_(std::move(child)),
      channel_(child_.take_channel().release()),
      handlers_(std::move(handlers)),
      receiver_([this] { receive(); }) {}

WorkerProcess::~WorkerProcess() {
  kill();
  channel_.shut_down();
  receiver_.join();
}

void WorkerProcess::receive() {
  std::string fault;
  while (fault.empty()) {
    Result<Message> message = channel_.receive();
    const Status taken = message ? handlers_.on_message(std::move(*message)) : message.error();
    if (taken) continue;
    if (taken.error().code == ErrorCode::kIo) break;
    fault = taken.error().message;
  }
  channel_.shut_down();
  handlers_.on_gone(fault);
}

void WorkerProcess::kill() {
  if (child_.wait(0)) return;
  killed_ = true;
  child_.kill(SIGKILL);
}

std::string WorkerProcess::end() {
  channel_.shut_down();
  if (!child_.wait(kPatienceMs)) kill();
  const std::optional<ExitStatus> exit = child_.wait(kPatienceMs);
  if (!exit) return "cannot be ended";
  // Nobody else kills but the kernel, for want of memory.
  if (exit->signal == SIGKILL && !killed_) return "was killed: out of memory";
  return describe(*exit);
}

}  // namespace safelight::jobs
