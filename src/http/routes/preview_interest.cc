#include "http/routes/preview_interest.h"

namespace safelight::http {

PreviewInterest::Hold PreviewInterest::hold(const std::string& job) {
  {
    const std::lock_guard lock(mutex_);
    if (++holds_[job] == 1) workers_.watch_previews(job, true);
  }
  return {this, [self = shared_from_this(), job](void*) { self->release(job); }};
}

void PreviewInterest::release(const std::string& job) {
  const std::lock_guard lock(mutex_);
  if (--holds_[job] > 0) return;
  holds_.erase(job);
  workers_.watch_previews(job, false);
}

}  // namespace safelight::http
