#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "api/principal.h"
#include "jobs/events.h"

namespace safelight::api::sdapi {

/// The job whose progress the principal means: the own one that runs; for an admin without one the
/// one that runs; else the own one that waits first. Null for none.
const jobs::EventHub::Activity::Entry* watched_job(const jobs::EventHub::Activity& activity,
                                                   const Principal& principal);

/// SD WebUI's "progress". Idle is exactly progress 0 and job_count 0. `picture`: with the latest
/// preview.
boost::json::object progress(const jobs::EventHub::Activity& activity, const Principal& principal,
                             bool picture, jobs::Time now);

/// SD.Next's "status".
boost::json::object status(const jobs::EventHub::Activity& activity, const Principal& principal,
                           jobs::Time server_started, jobs::Time now);

/// SD WebUI's "internal/progress" of one job, null when there is no such job. `live` may be null:
/// then `state` is what the store says.
boost::json::object task_progress(const jobs::LiveJob* live, const jobs::State* state,
                                  int64_t last_preview);

}  // namespace safelight::api::sdapi
