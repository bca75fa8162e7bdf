#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobs/job.h"
#include "jobs/redis_reply.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// The words of a job for submit.lua, in the order of its JOB_FIELDS.
std::vector<std::string> submit_words(const NewJob& job);

/// A job from its hash. Errors: kNotFound for an empty one, kUnavailable for what is none of ours.
Result<Job> job_from_hash(const RedisReply& reply);

/// "time type detail" of a job's log.
Result<StoredEvent> event_from_line(std::string_view line, int64_t sequence);

/// The names that cancel.lua and the hash use.
std::string_view cancel_name(CancelMode mode);
CancelMode find_cancel(std::string_view name);  ///< kNone for any other name

/// Errors: kUnavailable for what is no state's name.
Result<State> state_of(const RedisReply& reply);

/// So many random digits of Crockford's base32, 5 bits each.
std::string random_digits(size_t count);

}  // namespace safelight::jobs
