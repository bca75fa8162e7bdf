#pragma once

#include <boost/json/object.hpp>
#include <span>
#include <string_view>

namespace safelight::api::native {

/// A query parameter or header of an operation.
struct ParameterDoc {
  std::string_view name, in, type, help;
};

/// What the OpenAPI document says of an operation.
struct OperationDoc {
  std::string_view name, tag, summary, description;
  std::span<const ParameterDoc> parameters;
  std::string_view body;  ///< schema of the JSON body; empty for none
  int status = 200;       ///< of success
  std::string_view media_type = "application/json";
  std::string_view answer;  ///< schema of the answer; empty when it is no JSON
  std::string_view errors;  ///< further statuses, separated by spaces
};

/// The documentation of an operation, or null.
const OperationDoc* find_operation_doc(std::string_view name);

/// Schemas of answers, by name.
boost::json::object answer_schemas();

}  // namespace safelight::api::native
