#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "jobs/store.h"

namespace safelight::jobs {

/// A Store without disk, whose troubles a test can choose.
class MemoryStore : public Store {
 public:
  std::atomic<bool> fails = false;  ///< calls about leases give kIo
  std::atomic<bool> loses = false;  ///< every lease is lost
  std::atomic<int> refusals = 0;    ///< so many finish() refuse the pictures for ever
  std::atomic<int> renewals = 0, claims = 0;

  Result<std::vector<Accepted>> submit(const std::vector<NewJob>& jobs) override {
    const std::lock_guard lock(mutex_);
    std::vector<Accepted> accepted;
    for (const NewJob& asked : jobs) {
      Job job{.id = "J" + std::to_string(1000 + jobs_.size()), .asked = asked, .created = now()};
      accepted.push_back({job.id});
      jobs_[job.id] = job;
    }
    return accepted;
  }
  Result<Job> find(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    return jobs_.at(id);
  }
  Result<std::optional<Claim>> claim(const ClaimOptions& options) override {
    ++claims;
    if (fails) return trouble();
    const std::lock_guard lock(mutex_);
    for (auto& [id, job] : jobs_) {
      if (job.state != State::kQueued) continue;
      job.state = State::kRunning;
      job.worker = options.worker;
      ++job.attempt;
      return std::optional(Claim{{id, job.attempt, options.worker}, job});
    }
    return std::optional<Claim>();
  }
  Result<RenewedLease> renew(const Lease& lease, int64_t) override {
    ++renewals;
    if (fails) return trouble();
    const std::lock_guard lock(mutex_);
    return RenewedLease{held(lease), jobs_.at(lease.job).cancel};
  }
  Result<bool> finish(const Lease& lease, const Outcome& outcome) override {
    if (fails) return trouble();
    if (!outcome.pictures.empty() && refusals > 0) {
      --refusals;
      return Error{ErrorCode::kInvalidArgument, "too large"};
    }
    const std::lock_guard lock(mutex_);
    if (!held(lease)) return false;
    Job& job = jobs_.at(lease.job);
    job.state = outcome.state;
    job.error = outcome.error;
    for (const FinishedPicture& picture : outcome.pictures) {
      job.results.push_back(picture.file);
      data_[job.id].push_back(picture.data);
    }
    return true;
  }
  Result<bool> give_back(const Lease& lease, bool counted, const std::string& reason) override {
    if (fails) return trouble();
    const std::lock_guard lock(mutex_);
    if (!held(lease)) return false;
    Job& job = jobs_.at(lease.job);
    if (!counted) --job.attempt;
    job.state = State::kQueued;
    if (counted && job.attempt >= job.asked.max_attempts) {
      job.state = State::kFailed;
      job.error = JobError{ErrorCode::kInternal, reason};
    }
    return true;
  }
  Result<State> cancel(const std::string& id, CancelMode mode) override {
    const std::lock_guard lock(mutex_);
    Job& job = jobs_.at(id);
    if (job.state == State::kQueued) job.state = State::kCancelled;
    if (job.state == State::kRunning) job.cancel = mode;
    return job.state;
  }
  Result<QueueCounts> counts() override {
    const std::lock_guard lock(mutex_);
    QueueCounts counts;
    for (const auto& [id, job] : jobs_) ++counts.jobs[job.state];
    return counts;
  }
  Result<std::string> read_result(const std::string& id, int64_t index) override {
    const std::lock_guard lock(mutex_);
    return data_.at(id).at(static_cast<size_t>(index));
  }
  Result<std::vector<std::string>> order(size_t) override { return std::vector<std::string>(); }
  Result<std::vector<Change>> sweep() override { return std::vector<Change>(); }
  Result<Job> find_client_id(const std::string&, const std::string&) override { return none(); }
  Result<std::vector<Job>> list(const JobQuery&) override { return none(); }
  Result<std::vector<StoredEvent>> events(const std::string&) override { return none(); }
  Result<Usage> usage(const std::string&, Time) override { return none(); }

 private:
  static Error trouble() { return {ErrorCode::kIo, "the disk is full"}; }
  static Error none() { return {ErrorCode::kNotFound, "not in this store"}; }
  bool held(const Lease& lease) const {
    const Job& job = jobs_.at(lease.job);
    return !loses && job.state == State::kRunning && job.attempt == lease.attempt;
  }

  std::mutex mutex_;
  std::map<std::string, Job> jobs_;
  std::map<std::string, std::vector<std::string>> data_;
};

}  // namespace safelight::jobs
