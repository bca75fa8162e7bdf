#pragma once

#include <string>
#include <string_view>

#include "http/exchange.h"

namespace safelight::http {

std::string_view access_name(Access access);  ///< "open", "viewer", "user", "admin"

/// A line a route, divided by tabs: method ("SOCKET" for a WebSocket), pattern, access, cost of the
/// rate limit, operation. For people, and for tests that knock at each.
std::string route_table(const Router& router);

}  // namespace safelight::http
