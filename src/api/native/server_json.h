#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <utility>
#include <vector>

#include "api/backend.h"
#include "api/principal.h"

namespace safelight::api::native {

/// Memory of this process.
uint64_t resident_bytes();

/// Workers and their models, and how long the server runs, with the memory of this process.
boost::json::object status_json(const ServerFacts& facts,
                                const std::vector<jobs::WorkerStatus>& workers, bool admin);

/// How many run and wait, and the caller's own of them (an admin's are all), the first `limit`.
boost::json::object queue_json(const std::vector<std::pair<std::string, jobs::LiveJob>>& unfinished,
                               const Principal& principal, size_t limit, std::string_view base);

/// Checkpoints, each with "loaded"; paths for admins only.
boost::json::array models_json(const std::vector<ModelInfo>& models,
                               const std::vector<jobs::WorkerStatus>& workers, bool admin);

/// {"samplers": [...], "schedules": [...]}.
boost::json::object samplers_json(const std::vector<SamplerInfo>& samplers,
                                  const std::vector<ScheduleInfo>& schedules);

}  // namespace safelight::api::native
