#include "jobs/live_jobs.h"

#include <algorithm>
#include <utility>

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;

}  // namespace

void LiveJobs::add(const rows::Head& head) {
  const std::lock_guard lock(mutex_);
  queues_[head.policy].push(head.entry);
}

std::optional<FairQueue::Entry> LiveJobs::take(const ClaimOptions& options) {
  const std::lock_guard lock(mutex_);
  const auto queue = queues_.find(options.policy);
  if (queue == queues_.end()) return std::nullopt;
  return queue->second.take(options.loaded_model, milliseconds(options.patience_ms), Clock::now());
}

void LiveJobs::put_back(const std::string& policy, const FairQueue::Entry& entry) {
  const std::lock_guard lock(mutex_);
  queues_[policy].put_back(entry);
}

void LiveJobs::drop(const std::string& policy, const std::string& id) {
  const std::lock_guard lock(mutex_);
  queues_[policy].remove(id);
}

bool LiveJobs::waits(const std::string& policy) const {
  const std::lock_guard lock(mutex_);
  const auto queue = queues_.find(policy);
  return queue != queues_.end() && queue->second.size() > 0;
}

void LiveJobs::start(const rows::Head& head, const Lease& lease, int64_t lease_ms) {
  const std::lock_guard lock(mutex_);
  runs_[head.id] = {.lease = lease, .until = Clock::now() + milliseconds(lease_ms)};
}

void LiveJobs::requeue(const rows::Head& head) {
  const std::lock_guard lock(mutex_);
  runs_.erase(head.id);
  queues_[head.policy].put_back(head.entry);
}

void LiveJobs::end(const rows::Head& head) {
  const std::lock_guard lock(mutex_);
  runs_.erase(head.id);
  queues_[head.policy].remove(head.id);
}

const LiveJobs::Run* LiveJobs::find(const Lease& lease) const {
  const auto run = runs_.find(lease.job);
  const bool held = run != runs_.end() && run->second.lease.attempt == lease.attempt &&
                    run->second.lease.worker == lease.worker;
  return held ? &run->second : nullptr;
}

bool LiveJobs::holds(const Lease& lease) const {
  const std::lock_guard lock(mutex_);
  return find(lease) != nullptr;
}

RenewedLease LiveJobs::renew(const Lease& lease, int64_t lease_ms) {
  const std::lock_guard lock(mutex_);
  if (find(lease) == nullptr) return {};
  Run& run = runs_.at(lease.job);
  run.until = Clock::now() + milliseconds(lease_ms);
  return {.held = true, .cancel = run.cancel};
}

void LiveJobs::ask_to_end(const std::string& id, CancelMode mode) {
  const std::lock_guard lock(mutex_);
  if (const auto run = runs_.find(id); run != runs_.end()) run->second.cancel = mode;
}

std::vector<Lease> LiveJobs::overdue() const {
  const std::lock_guard lock(mutex_);
  std::vector<Lease> leases;
  for (const auto& [id, run] : runs_) {
    if (run.until <= Clock::now()) leases.push_back(run.lease);
  }
  return leases;
}

std::vector<std::string> LiveJobs::order(size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [policy, queue] : queues_) {
    auto more = queue.order(limit - ids.size());
    std::move(more.begin(), more.end(), std::back_inserter(ids));
  }
  return ids;
}

double LiveJobs::queued_cost() const {
  const std::lock_guard lock(mutex_);
  double cost = 0;
  for (const auto& [policy, queue] : queues_) cost += queue.cost();
  return cost;
}

void LiveJobs::note(std::vector<Change> changes) {
  const std::lock_guard lock(mutex_);
  std::move(changes.begin(), changes.end(), std::back_inserter(changes_));
}

std::vector<Change> LiveJobs::noted() {
  const std::lock_guard lock(mutex_);
  return std::exchange(changes_, {});
}

}  // namespace safelight::jobs
