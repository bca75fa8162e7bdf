#include "jobs/claiming.h"

#include <algorithm>
#include <utility>

#include "jobs/outcome.h"

namespace safelight::jobs {

Status Claiming::execute(sqlite::Connection& db) {
  while (!claimed_) {
    const auto entry = live_.take(options_);
    if (!entry) return {};
    taken_.push_back(*entry);
    const auto head = rows::head(db, entry->id);
    if (!head) return head.error();
    // An earlier change of the same transaction may have ended it.
    if (!*head || (*head)->state != State::kQueued) continue;
    if (Status considered = consider(db, **head); !considered) return considered;
  }
  return {};
}

Status Claiming::consider(sqlite::Connection& db, const rows::Head& head) {
  const Time time = now();
  if (head.deadline > 0 && head.deadline <= time) {
    return end(db, head, State::kExpired, expired_error());
  }
  auto job = rows::job(db, head.id);
  if (!job && job.error().code != ErrorCode::kCorruptFile) return job.error();
  // One job that cannot be read must not stop those behind it.
  if (!job) {
    return end(db, head, State::kFailed,
               {.code = job.error().code, .message = job.error().message});
  }
  if (Status begun = rows::begin_attempt(db, head, options_.worker, time); !begun) return begun;
  job->state = State::kRunning;
  job->worker = options_.worker;
  job->started = time;
  ++job->attempt;
  const Lease lease{.job = job->id, .attempt = job->attempt, .worker = options_.worker};
  claimed_ = Claim{.lease = lease, .job = std::move(*job)};
  chosen_ = head;
  return {};
}

Status Claiming::end(sqlite::Connection& db, const rows::Head& head, State state,
                     const JobError& error) {
  changes_.push_back({.job = head.id, .owner = head.entry.owner, .state = state});
  return rows::end(db, head, state, error);
}

void Claiming::committed() {
  if (chosen_) {
    live_.start(*chosen_, claimed_->lease, options_.lease_ms);
    taken_.pop_back();
  }
  // Those that were not run cost their owners nothing.
  abandoned();
  for (const auto& entry : taken_) live_.drop(options_.policy, entry.id);
  live_.note(std::move(changes_));
}

void Claiming::abandoned() {
  std::for_each(taken_.rbegin(), taken_.rend(),
                [this](const auto& entry) { live_.put_back(options_.policy, entry); });
}

}  // namespace safelight::jobs
