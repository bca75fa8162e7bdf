#include "http/auth/route_table.h"

#include <fmt/format.h>

namespace safelight::http {

std::string_view access_name(Access access) {
  switch (access) {
    case Access::kOpen:
      return "open";
    case Access::kViewer:
      return "viewer";
    case Access::kUser:
      return "user";
    case Access::kAdmin:
      return "admin";
  }
  return "";
}

std::string route_table(const Router& router) {
  std::string table;
  for (const Route& route : router.routes()) {
    const RouteOptions& options = route.options;
    table += fmt::format("{}\t{}\t{}\t{}\t{}\n", route.socket ? "SOCKET" : route.method,
                         route.pattern, access_name(options.access), options.rate_cost,
                         options.operation.empty() ? "-" : options.operation);
  }
  return table;
}

}  // namespace safelight::http
