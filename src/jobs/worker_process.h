#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/process.h"
#include "jobs/messages.h"

namespace safelight::jobs {

/// A worker process, and the thread that receives from it. Dies with the thread that started it.
class WorkerProcess {
 public:
  /// Both are called on the receiving thread. `on_message` gives an error for what the protocol
  /// does not allow. `on_gone` is the last call: the channel is closed, because of `fault` unless
  /// that is empty.
  struct Handlers {
    std::function<Status(Message)> on_message;
    std::function<void(std::string fault)> on_gone;
  };

  /// Errors: kIo when the process cannot be started.
  static Result<std::unique_ptr<WorkerProcess>> start(const std::vector<std::string>& command,
                                                      int niceness, Handlers handlers);
  /// Kills it when it still runs.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  int pid() const { return child_.pid(); }
  Status send(const Message& message) { return channel_.send(message); }
  void kill();
  /// Asks it to end, by closing its channel, and kills it when it does not. How it ended, for
  /// people: "was ended by signal 11 (Segmentation fault)".
  std::string end();

 private:
  WorkerProcess(ChildProcess child, Handlers handlers);
  void receive();

  ChildProcess child_;
  MessageChannel channel_;
  Handlers handlers_;
  bool killed_ = false;
  std::thread receiver_;
};

}  // namespace safelight::jobs
