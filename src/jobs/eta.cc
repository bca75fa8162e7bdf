#include "jobs/eta.h"

#include "jobs/job.h"

namespace safelight::jobs {
namespace {

/// Decoding costs about as much as this many steps, so that runs of few steps teach the right rate.
constexpr int64_t kDecodeSteps = 2;
/// How much a new run counts against the past.
constexpr double kNewest = 0.3;

double work_of(request::Request request) {
  request.steps += kDecodeSteps;
  return cost_of(request);
}

}  // namespace

void EtaEstimator::learn(const request::Request& request, double seconds) {
  const double work = work_of(request);
  if (work <= 0 || seconds <= 0) return;
  const std::lock_guard lock(mutex_);
  Rate& rate = by_model_[request.model];
  const double measured = seconds / work;
  rate.seconds = rate.runs == 0 ? measured : (1 - kNewest) * rate.seconds + kNewest * measured;
  ++rate.runs;
}

double EtaEstimator::estimate(const request::Request& request) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_model_.find(request.model);
  return found == by_model_.end() ? -1 : found->second.seconds * work_of(request);
}

}  // namespace safelight::jobs
