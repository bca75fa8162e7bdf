#pragma once

#include <string>
#include <vector>

#include "jobs/sqlite.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// Jobs that retention removes next, the oldest first, some hundreds at once: those that ended more
/// than `max_age_ms` before `time`, and as many as leave results of `max_bytes`. Their numbers.
Result<std::vector<int64_t>> find_aged(sqlite::Connection& db, const Retention& retention,
                                       Time time);

/// Removes those jobs and all that belongs to them; the hashes that their results had.
Result<std::vector<std::string>> remove_jobs(sqlite::Connection& db,
                                             const std::vector<int64_t>& numbers);

/// How long it is known what an owner asked for, whatever becomes of the jobs.
constexpr int64_t kUsageKeptMs = int64_t{32} * 24 * 3600 * 1000;

}  // namespace safelight::jobs
