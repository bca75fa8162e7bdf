#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/backend.h"

namespace safelight::http {

/// Counts who wants previews of each job, and tells the worker of the first and of the last: it
/// draws none that nobody sees. Any thread.
class PreviewInterest : public std::enable_shared_from_this<PreviewInterest> {
 public:
  /// `workers` outlives it.
  explicit PreviewInterest(api::Workers& workers) : workers_(workers) {}

  /// Previews are wanted while it lives.
  using Hold = std::shared_ptr<void>;
  /// May block for a short time, as ending a hold may.
  Hold hold(const std::string& job);

 private:
  void release(const std::string& job);

  api::Workers& workers_;
  std::mutex mutex_;
  std::map<std::string, int> holds_;
};

}  // namespace safelight::http
