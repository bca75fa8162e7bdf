#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "jobs/job.h"
#include "studio/studio.h"

namespace safelight::worker {

/// How others steer a job that is drawn, or waits for that.
struct JobControl {
  std::string job;
  int attempt = 0;
  engine::StopFlag stop = false;
  studio::EarlyEnd early_end;
  std::atomic<bool> previews = false;
};

/// The jobs of a worker that have not ended. Any thread.
class JobControls {
 public:
  std::shared_ptr<JobControl> add(const std::string& job, int attempt);
  void remove(const std::shared_ptr<JobControl>& control);
  /// `mode` as in the message "cancel". Those of other attempts are left alone.
  void cancel(const std::string& job, int attempt, const std::string& mode);
  void set_previews(const std::string& job, bool wanted);
  void stop_all();

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<JobControl>> controls_;
};

}  // namespace safelight::worker
