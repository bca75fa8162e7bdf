#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "jobs/messages.h"

namespace safelight::jobs {

/// What others want of a driver.
struct Command {
  enum class Kind { kLoad, kUnload, kSkip, kPreviews, kCancel };
  Kind kind;
  std::string text;                              ///< the model or job
  bool wanted = false;                           ///< kPreviews
  CancelMode mode = CancelMode::kNone;           ///< kCancel
  std::shared_ptr<std::promise<Status>> done{};  ///< kLoad, kUnload: told when it is done
};

/// All that wakes a driver. Any thread puts in, the driver alone takes out.
class DriverInbox {
 public:
  using Clock = std::chrono::steady_clock;

  struct Content {
    std::vector<Command> commands;
    std::vector<Message> messages;    ///< of the worker: ready, loaded, ended
    std::optional<std::string> gone;  ///< the worker's channel is closed; a fault, or empty
    bool work = false;                ///< there may be work
    std::optional<Clock::time_point> drain_until;
  };

  /// False when the driver has ended; the command is dropped then.
  bool put(Command command) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    content_.commands.push_back(std::move(command));
    wake();
    return true;
  }
  void put(Message message) {
    const std::lock_guard lock(mutex_);
    content_.messages.push_back(std::move(message));
    wake();
  }
  void put_gone(std::string fault) {
    const std::lock_guard lock(mutex_);
    content_.gone = std::move(fault);
    wake();
  }
  void work_came() {
    const std::lock_guard lock(mutex_);
    content_.work = true;
    wake();
  }
  void drain(Clock::time_point until) {
    const std::lock_guard lock(mutex_);
    content_.drain_until = until;
    wake();
  }

  /// Waits until something comes, at most until `until`, and takes it out.
  Content take(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    came_.wait_until(lock, until, [this] { return changed_; });
    changed_ = false;
    return std::exchange(content_, {});
  }
  /// Drops what a worker sent that is no more.
  void forget_worker() {
    const std::lock_guard lock(mutex_);
    content_.messages.clear();
    content_.gone.reset();
  }
  /// No commands come after it; gives what is still in.
  std::vector<Command> close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    return std::move(content_.commands);
  }

 private:
  void wake() {
    changed_ = true;
    came_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable came_;
  Content content_;
  bool changed_ = false, closed_ = false;
};

}  // namespace safelight::jobs
