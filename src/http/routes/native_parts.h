#pragma once

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

// The parts of the native API, each in a file.
void add_job_routes(Router& router, api::Backend& backend);     ///< submit, list, get, cancel
void add_result_routes(Router& router, api::Backend& backend);  ///< pictures and previews
void add_watch_routes(Router& router, api::Backend& backend);   ///< server-sent events, WebSocket
void add_server_routes(Router& router, api::Backend& backend);  ///< queue, models, status

}  // namespace safelight::http
