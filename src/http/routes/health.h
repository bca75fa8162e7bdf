#pragma once

#include <functional>

#include "api/backend.h"
#include "http/exchange.h"
#include "http/metrics.h"

namespace safelight::http {

struct HealthOptions {
  bool open_metrics = false;       ///< /metrics without credentials; else for admins
  std::function<bool()> draining;  ///< whether the server is about to end; may be empty
};

/// /healthz, /readyz and /metrics, with gauges of queue, jobs, workers, memory and models.
void add_health_routes(Router& router, api::Backend& backend, Metrics& metrics,
                       HealthOptions options);

}  // namespace safelight::http
