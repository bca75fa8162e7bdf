#pragma once

#include <cstdint>

#include "api/principal.h"
#include "base/result.h"
#include "jobs/store.h"

namespace safelight::api {

/// Whether `principal` may ask for so many pictures and megapixel-steps (jobs::cost_of) more at
/// `now`. Days begin at midnight UTC. What is being submitted at the same time is not seen yet:
/// call it under the lock under which jobs are submitted where that matters. Blocks on the store.
/// Errors: kBusy saying what is used, the limit, and when it is lifted; those of the store.
Status check_quota(jobs::Store& store, const Principal& principal, int64_t pictures, double cost,
                   jobs::Time now);

}  // namespace safelight::api
