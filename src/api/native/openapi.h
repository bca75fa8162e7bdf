#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace safelight::api::native {

/// A route as the document needs it.
struct OperationRoute {
  std::string method, pattern;
  std::string_view operation;  ///< its name
  std::string_view role;       ///< that a caller needs: "", "viewer", "user", "admin"
};

/// The OpenAPI 3.1 document of the routes, with the field tables that check requests as its
/// schemas. `base` is where the API stands, such as "http://127.0.0.1:7860".
boost::json::object openapi_document(const std::vector<OperationRoute>& routes,
                                     std::string_view version, std::string_view base);

/// Whether the document says more of an operation than its name.
bool is_documented(std::string_view operation);

}  // namespace safelight::api::native
