#include "http/routes/native.h"

#include "api/native/openapi.h"
#include "http/routes/native_parts.h"

namespace safelight::http {
namespace {

std::string_view role_of(Access access) {
  switch (access) {
    case Access::kOpen:
      return "";
    case Access::kViewer:
      return "viewer";
    case Access::kUser:
      return "user";
    case Access::kAdmin:
      return "admin";
  }
  return "";
}

Awaitable<Reply> get_openapi(Exchange& exchange, const Router& router, api::Backend& backend) {
  std::vector<api::native::OperationRoute> routes;
  for (const Route& route : router.routes()) {
    if (route.options.operation.empty()) continue;
    routes.push_back({.method = route.method,
                      .pattern = route.pattern,
                      .operation = route.options.operation,
                      .role = role_of(route.options.access)});
  }
  co_return json_reply(
      api::native::openapi_document(routes, backend.facts.version, exchange.base_url()));
}

}  // namespace

void add_native_routes(Router& router, api::Backend& backend) {
  add_job_routes(router, backend);
  add_result_routes(router, backend);
  add_watch_routes(router, backend);
  add_server_routes(router, backend);
  router.get("/api/v1/openapi.json", {.access = Access::kViewer, .operation = "getOpenApi"},
             [&](Exchange& exchange) { return get_openapi(exchange, router, backend); });
}

}  // namespace safelight::http
