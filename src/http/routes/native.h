#pragma once

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

/// The native API below /api/v1: jobs with their events and results, queue, models, status, a
/// WebSocket of events, and the OpenAPI document of all routes. `router` outlives the handlers.
void add_native_routes(Router& router, api::Backend& backend);

}  // namespace safelight::http
