#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/fair_queue.h"
#include "jobs/job_rows.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// What a store on one machine keeps in memory of its unfinished jobs: the order of those that wait
/// and the leases of those that run, by a clock that nobody sets. The database is the truth; this
/// follows it. Any thread; nothing blocks.
class LiveJobs {
 public:
  using Clock = FairQueue::Clock;

  void add(const rows::Head& head);
  /// Takes the next job for that worker out of the queue.
  std::optional<FairQueue::Entry> take(const ClaimOptions& options);
  void put_back(const std::string& policy, const FairQueue::Entry& entry);
  /// Takes the job out of the queue.
  void drop(const std::string& policy, const std::string& id);
  bool waits(const std::string& policy) const;

  void start(const rows::Head& head, const Lease& lease, int64_t lease_ms);
  /// The job is back in the queue, at its old place.
  void requeue(const rows::Head& head);
  /// The job is neither queued nor running any more.
  void end(const rows::Head& head);

  bool holds(const Lease& lease) const;
  RenewedLease renew(const Lease& lease, int64_t lease_ms);
  void ask_to_end(const std::string& id, CancelMode mode);
  /// Leases that ran out.
  std::vector<Lease> overdue() const;

  std::vector<std::string> order(size_t limit) const;
  double queued_cost() const;

  /// Changes for the next sweep to tell.
  void note(std::vector<Change> changes);
  std::vector<Change> noted();

 private:
  struct Run {
    Lease lease;
    Clock::time_point until;
    CancelMode cancel = CancelMode::kNone;
  };
  const Run* find(const Lease& lease) const;

  mutable std::mutex mutex_;
  std::map<std::string, FairQueue> queues_;  ///< by policy
  std::unordered_map<std::string, Run> runs_;
  std::vector<Change> changes_;
};

}  // namespace safelight::jobs
