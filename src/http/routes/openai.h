#pragma once

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

/// OpenAI's images API below /v1, and the signed links of its answers, /files/{token}.
void add_openai_routes(Router& router, api::Backend& backend);

}  // namespace safelight::http
