#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/fair_queue.h"
#include "jobs/sqlite.h"
#include "jobs/store.h"

namespace safelight::jobs::rows {

/// What a change needs to know of a job.
struct Head {
  int64_t number = 0;
  std::string id, policy, worker;
  FairQueue::Entry entry;
  State state = State::kQueued;
  int attempt = 0, crashes = 0, max_attempts = 0;
  CancelMode cancel = CancelMode::kNone;
  Time deadline = 0;
};

/// A job that is to be accepted, as it is stored: made before the database is locked.
struct Prepared {
  std::string text;  ///< JSON of all that was asked
  std::string model;
  double cost = 0;
  int64_t pictures = 0;
};
Prepared prepare(const NewJob& job);

Status insert(sqlite::Connection& db, const std::string& id, Time created, const NewJob& job,
              const Prepared& prepared);
/// The job that has that key already. Errors: kConflict when it is of another request.
Result<std::optional<std::string>> find_key(sqlite::Connection& db, const NewJob& job);

Result<std::optional<Head>> head(sqlite::Connection& db, const std::string& id);
/// All jobs in a state that is not final, oldest first.
Result<std::vector<Head>> heads(sqlite::Connection& db, State state);
/// Unfinished jobs whose deadline has passed at `time`.
Result<std::vector<Head>> past_deadline(sqlite::Connection& db, Time time);

/// The job with its results. Errors: kNotFound.
Result<Job> job(sqlite::Connection& db, const std::string& id);
Result<std::vector<StoredEvent>> events(sqlite::Connection& db, const std::string& id);
Status begin_attempt(sqlite::Connection& db, const Head& head, const std::string& worker,
                     Time time);
Status requeue(sqlite::Connection& db, const Head& head, bool counted, std::string_view reason);
Status request_cancel(sqlite::Connection& db, const Head& head, CancelMode mode);
Status end(sqlite::Connection& db, const Head& head, State state,
           const std::optional<JobError>& error);
Status add_result(sqlite::Connection& db, const Head& head, const ResultFile& file);

Error no_such_job(const std::string& id);

}  // namespace safelight::jobs::rows
