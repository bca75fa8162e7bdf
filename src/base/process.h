#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"

namespace safelight {

constexpr int kChannelFd = 3;  ///< of a child: its end of the socket to its parent

struct SpawnOptions {
  std::vector<std::string> command;  ///< a program's path ("/proc/self/exe": this one), arguments
  int niceness = 0;                  ///< added to our own
};

/// How a process ended.
struct ExitStatus {
  int status = 0;  ///< of exit(); meaningless when `signal` is set
  int signal = 0;  ///< that ended it; 0 for none
};

/// "was ended by signal 11 (Segmentation fault)", "ended with status 3".
std::string describe(const ExitStatus& exit);

/// A child in a session of its own, with nothing of ours open but stdout, stderr and a stream
/// socket. It dies with the thread that started it. One thread at a time, but kill() and
/// resident_bytes(), which any thread may call.
class ChildProcess {
 public:
  /// Errors: kIo when the system refuses, naming the program.
  static Result<ChildProcess> spawn(const SpawnOptions& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  /// Kills it when it still runs, and waits for it.
  ~ChildProcess();

  int pid() const { return pid_; }
  /// Our end of the socket, once.
  Descriptor take_channel() { return std::move(channel_); }
  void kill(int signal);
  /// How it ended; nothing when it still runs after `timeout_ms`. Remembers the answer.
  std::optional<ExitStatus> wait(int64_t timeout_ms);

 private:
  ChildProcess(int pid, Descriptor channel) : pid_(pid), channel_(std::move(channel)) {}

  int pid_;
  Descriptor channel_;
  std::optional<ExitStatus> ended_;
};

/// Bytes of memory that a process holds now; 0 where that cannot be read.
uint64_t resident_bytes(int pid);

}  // namespace safelight
