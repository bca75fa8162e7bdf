#include "worker/job_control.h"

namespace safelight::worker {

std::shared_ptr<JobControl> JobControls::add(const std::string& job, int attempt) {
  auto control = std::make_shared<JobControl>();
  control->job = job;
  control->attempt = attempt;
  const std::lock_guard lock(mutex_);
  controls_.push_back(control);
  return control;
}

void JobControls::remove(const std::shared_ptr<JobControl>& control) {
  const std::lock_guard lock(mutex_);
  std::erase(controls_, control);
}

void JobControls::cancel(const std::string& job, int attempt, const std::string& mode) {
  const std::lock_guard lock(mutex_);
  for (const auto& control : controls_) {
    if (control->job != job || control->attempt != attempt) continue;
    if (mode == "skip") {
      control->early_end.batch = true;
    } else if (mode == "interrupt") {
      control->early_end.run = true;
    } else {
      control->stop = true;
    }
  }
}

void JobControls::set_previews(const std::string& job, bool wanted) {
  const std::lock_guard lock(mutex_);
  for (const auto& control : controls_) {
    if (control->job == job) control->previews = wanted;
  }
}

void JobControls::stop_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& control : controls_) control->stop = true;
}

}  // namespace safelight::worker
