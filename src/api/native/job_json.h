#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/events.h"
#include "jobs/job.h"
#include "jobs/store.h"

namespace safelight::api::native {

/// "2026-11-24T18:51:50.123Z".
std::string iso_time(jobs::Time time);

/// "…/api/v1/jobs/ID"; `base` is what stands before "/api" in links.
std::string job_url(std::string_view base, std::string_view id);

/// {"fraction", "batch", "batches", "step", "steps"}.
boost::json::object progress_json(const jobs::Progress& progress);

/// An unfinished job as far as it is known without the store.
boost::json::object live_json(std::string_view id, const jobs::LiveJob& live,
                              std::string_view base);

/// All of a job; position, progress and ETA from `live` when it is still unfinished.
boost::json::object job_json(const jobs::Job& job, const std::optional<jobs::LiveJob>& live,
                             std::string_view base);

/// A change of state that was written down: {"type": "state", "job", "event", "state", ...}.
/// "state" is left out for what does not change it.
boost::json::object stored_event_json(std::string_view job, const jobs::StoredEvent& event);

/// An event as text for all its watchers: of type state, progress, picture or, with the picture in
/// base64, preview.
std::string event_text(const jobs::Event& event);

/// A job's state as of now, for who begins to watch it; its form is that of an event of type state
/// with "snapshot": true.
std::string snapshot_text(std::string_view id, const jobs::LiveJob& live);

}  // namespace safelight::api::native
