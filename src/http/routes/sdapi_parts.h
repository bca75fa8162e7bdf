#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string_view>

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

// What add_sdapi_routes() is made of.
void add_sdapi_generation(Router& router, api::Backend& backend);
void add_sdapi_state(Router& router, api::Backend& backend);
void add_sdapi_settings(Router& router, api::Backend& backend);
void add_sdapi_lists(Router& router, api::Backend& backend);
void add_sdapi_server(Router& router, api::Backend& backend);

/// A handler's work where nothing is awaited: JSON, sent with status 200, or an error.
using SdapiAnswer = std::function<Result<boost::json::value>(Exchange&)>;

/// Runs on the server's own thread: for what never blocks.
Handler sdapi_at_once(SdapiAnswer answer);
/// Runs on the pool of threads for store and files.
Handler sdapi_blocking(SdapiAnswer answer);

/// As SD WebUI answers: what cannot be understood is a 422 there.
Reply sdapi_failure(const Error& error);

RouteOptions sdapi_options(Access access, std::string_view operation);

/// The body as a JSON object; an empty body is an empty object.
Result<boost::json::object> sdapi_body(const Exchange& exchange);

/// Whether a query parameter says yes.
bool sdapi_flag(const Exchange& exchange, std::string_view name);

}  // namespace safelight::http
