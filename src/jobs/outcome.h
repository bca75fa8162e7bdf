#pragma once

#include <optional>
#include <string>

#include "jobs/store.h"

namespace safelight::jobs {

/// Whether a store may keep it: a final state, an error where one belongs, results whose hash and
/// size are those of their bytes. Errors: kInvalidArgument.
Status check_outcome(const Outcome& outcome);

/// What becomes of a running job whose worker does not go on with it.
struct Fate {
  State state = State::kQueued;
  std::optional<JobError> error;
};
/// `crashes`: attempts that count, this one included.
Fate fate_of(CancelMode cancel, int crashes, int max_attempts, const std::string& reason);

JobError cancelled_error();
JobError expired_error();

}  // namespace safelight::jobs
