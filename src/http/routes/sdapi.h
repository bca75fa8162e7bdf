#pragma once

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

/// The API of SD WebUI and SD.Next as far as it concerns text-to-image, with all that their clients
/// ask for on their way. docs/sdapi.md is its table. `backend` outlives the router.
void add_sdapi_routes(Router& router, api::Backend& backend);

}  // namespace safelight::http
