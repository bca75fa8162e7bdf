#pragma once

#include <functional>
#include <thread>

namespace safelight::app {

/// SIGINT and SIGTERM for a program that ends in order: to be made before any other thread, which
/// inherits that both are blocked. The first one calls `end` on a thread of its own, the second one
/// ends the process at once with status 130 or 143. With `reload` given, SIGHUP calls that instead
/// of ending the process.
class Termination {
 public:
  explicit Termination(std::function<void()> end, std::function<void()> reload = {});
  ~Termination();
  Termination(const Termination&) = delete;
  Termination& operator=(const Termination&) = delete;

 private:
  void run();

  std::function<void()> end_, reload_;
  std::thread thread_;
};

}  // namespace safelight::app
