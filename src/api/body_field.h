#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "request/request.h"

namespace safelight::api {

/// An error and the part of the body that caused it, for clients that mark it.
struct FieldError {
  Error error;
  std::string field;           ///< "jobs[3].steps"; empty when it is the body as a whole
  boost::json::object limits;  ///< what is possible: minimum, maximum, choices, default
};

/// A member of a body that is no field of a Request: checks and documentation are made from this.
struct BodyField {
  enum class Type { kText, kWhole, kNumber, kFlag, kObject, kList };
  std::string_view key;
  Type type = Type::kText;
  double minimum = 0, maximum = 0;  ///< of numbers; of texts the most bytes is `maximum`
  std::string_view choices;         ///< allowed texts separated by spaces; empty for any
  std::string_view fallback;        ///< the default as JSON; empty for none
  std::string_view help;
};

/// The field of that key, or null.
const BodyField* find_field(std::span<const BodyField> fields, std::string_view key);

/// Whether `value` can stand in the field; null can. `path` is that of the object, such as
/// "jobs[3].", empty for the body.
std::optional<FieldError> check_value(const BodyField& field, const boost::json::value& value,
                                      const std::string& path);

/// Sets a field of the request from what stands in the body under `key` (its name or an alias).
std::optional<FieldError> set_checked(request::Request& request, const request::Field& field,
                                      std::string_view key, const boost::json::value& value,
                                      const std::string& path);

/// "the field 'stpes' is not known, and was ignored; did you mean 'steps'?" `fields` are those that
/// the object has beside the request's, which are tried when `request_fields`.
std::string unknown_field_warning(std::string_view key, const std::string& path,
                                  std::span<const BodyField> fields, bool request_fields);

/// What a value of the field must be, as JSON Schema 2020-12 (that of OpenAPI 3.1).
boost::json::object schema_of(const BodyField& field);
boost::json::object schema_of(const request::Field& field);

/// The member's value when it is there and not null; the body was checked before.
std::string text_member(const boost::json::object& object, std::string_view key,
                        std::string_view fallback = {});
double number_member(const boost::json::object& object, std::string_view key, double fallback = 0);
bool flag_member(const boost::json::object& object, std::string_view key, bool fallback = false);

}  // namespace safelight::api
