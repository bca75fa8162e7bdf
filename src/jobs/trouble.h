#pragma once

#include <string>
#include <utility>

#include "base/log.h"
#include "base/result.h"

namespace safelight::jobs {

/// Logs a kind of trouble when it begins and when it ends, not each time. One thread at a time.
class Trouble {
 public:
  explicit Trouble(std::string what) : what_(std::move(what)) {}
  void report(const Status& status) {
    if (!status && !there_) spdlog::error("{}: {}", what_, status.error().message);
    if (status && there_) spdlog::info("{}: works again", what_);
    there_ = !status;
  }

 private:
  std::string what_;
  bool there_ = false;
};

}  // namespace safelight::jobs
