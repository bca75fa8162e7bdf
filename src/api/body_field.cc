#include "api/body_field.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "base/text.h"

namespace safelight::api {
namespace {

namespace json = boost::json;

constexpr size_t kShown = 80;

std::string shown(std::string_view text) {
  return std::string(utf8_prefix(text, kShown)) + (text.size() > kShown ? "..." : "");
}

/// A number as JSON writes it best: whole ones without a fraction.
json::value number_json(double number) {
  if (number == std::floor(number) && std::abs(number) < 1e15) return static_cast<int64_t>(number);
  return number;
}

std::string number_text(double number) { return json::serialize(number_json(number)); }

json::array words(std::string_view list) {
  json::array all;
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    if (end > 0) all.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return all;
}

bool is_choice(std::string_view choices, std::string_view text) {
  for (const json::value& choice : words(choices)) {
    if (std::string_view(choice.get_string()) == text) return true;
  }
  return false;
}

std::string listed(std::string_view choices) {
  std::string text;
  for (const json::value& choice : words(choices)) {
    text += (text.empty() ? "" : ", ") + std::string(choice.get_string());
  }
  return text;
}

/// The part of a schema that helps who gave a wrong value.
json::object limits_in(const json::object& schema) {
  json::object limits;
  for (const char* key : {"minimum", "maximum", "enum", "default"}) {
    if (const json::value* value = schema.if_contains(key)) {
      limits[std::string_view(key) == "enum" ? "choices" : key] = *value;
    }
  }
  return limits;
}

FieldError wrong(const BodyField& field, const std::string& path, std::string_view got,
                 std::string_view wanted) {
  const json::object schema = schema_of(field);
  std::string message = fmt::format("{}{} is {}; {}", path, field.key, got, wanted);
  if (const json::value* fallback = schema.if_contains("default")) {
    message += "; the default is " + json::serialize(*fallback);
  }
  return {{ErrorCode::kInvalidArgument, std::move(message)},
          path + std::string(field.key),
          limits_in(schema)};
}

std::optional<FieldError> check_text(const BodyField& field, std::string_view text,
                                     const std::string& path) {
  if (!field.choices.empty() && !is_choice(field.choices, text)) {
    return wrong(field, path, "'" + shown(text) + "'",
                 fmt::format("one of {} is needed", listed(field.choices)));
  }
  if (field.maximum > 0 && static_cast<double>(text.size()) > field.maximum) {
    return wrong(field, path, fmt::format("{} bytes long", text.size()),
                 fmt::format("at most {} are possible", number_text(field.maximum)));
  }
  if (find_invalid_utf8(text) != std::string::npos || text.find('\0') != std::string_view::npos) {
    return wrong(field, path, "not plain UTF-8 text", "UTF-8 text without zero bytes is needed");
  }
  return {};
}

std::optional<FieldError> check_number(const BodyField& field, const json::value& value,
                                       const std::string& path) {
  const double number = value.to_number<double>();
  if (field.type == BodyField::Type::kWhole && number != std::floor(number)) {
    return wrong(field, path, number_text(number), "a whole number is needed");
  }
  if (number < field.minimum || number > field.maximum) {
    return wrong(field, path, number_text(number),
                 fmt::format("{} to {} is possible", number_text(field.minimum),
                             number_text(field.maximum)));
  }
  return {};
}

}  // namespace

const BodyField* find_field(std::span<const BodyField> fields, std::string_view key) {
  for (const BodyField& field : fields) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

std::optional<FieldError> check_value(const BodyField& field, const json::value& value,
                                      const std::string& path) {
  using Type = BodyField::Type;
  if (value.is_null()) return {};
  switch (field.type) {
    case Type::kText:
      if (value.is_string()) return check_text(field, std::string_view(value.get_string()), path);
      return wrong(field, path, shown(json::serialize(value)), "a text is needed");
    case Type::kFlag:
      if (value.is_bool()) return {};
      return wrong(field, path, shown(json::serialize(value)), "true or false is needed");
    case Type::kObject:
      if (value.is_object()) return {};
      return wrong(field, path, shown(json::serialize(value)), "a JSON object is needed");
    case Type::kList:
      if (value.is_array()) return {};
      return wrong(field, path, shown(json::serialize(value)), "a JSON list is needed");
    case Type::kWhole:
    case Type::kNumber:
      if (value.is_number()) return check_number(field, value, path);
      return wrong(field, path, shown(json::serialize(value)), "a number is needed");
  }
  return {};
}

std::optional<FieldError> set_checked(request::Request& request, const request::Field& field,
                                      std::string_view key, const json::value& value,
                                      const std::string& path) {
  Status set = request::set_json(request, field, value);
  if (set) set = request::validate_field(request, field);
  if (set) return {};
  const std::string fallback = request::default_text(field);
  std::string message = path + set.error().message;
  if (!fallback.empty()) message += "; the default is " + fallback;
  return FieldError{
      {set.error().code, std::move(message)}, path + std::string(key), limits_in(schema_of(field))};
}

std::string unknown_field_warning(std::string_view key, const std::string& path,
                                  std::span<const BodyField> fields, bool request_fields) {
  std::vector<std::string_view> known;
  for (const BodyField& field : fields) known.push_back(field.key);
  if (request_fields) {
    for (const request::Field& field : request::fields()) known.push_back(field.key);
  }
  const std::string name = shown(key);
  const std::string_view nearest = nearest_name(name, known);
  return fmt::format("the field '{}{}' is not known, and was ignored{}", path, name,
                     nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
}

json::object schema_of(const BodyField& field) {
  using Type = BodyField::Type;
  json::object schema;
  switch (field.type) {
    case Type::kText:
      schema["type"] = "string";
      if (field.maximum > 0) schema["maxLength"] = number_json(field.maximum);
      if (!field.choices.empty()) schema["enum"] = words(field.choices);
      break;
    case Type::kFlag:
      schema["type"] = "boolean";
      break;
    case Type::kObject:
      schema["type"] = "object";
      break;
    case Type::kList:
      schema["type"] = "array";
      break;
    case Type::kWhole:
    case Type::kNumber:
      schema["type"] = field.type == Type::kWhole ? "integer" : "number";
      schema["minimum"] = number_json(field.minimum);
      schema["maximum"] = number_json(field.maximum);
      break;
  }
  if (!field.fallback.empty()) {
    schema["default"] =
        json::parse(json::string_view(field.fallback.data(), field.fallback.size()));
  }
  schema["description"] = field.help;
  return schema;
}

json::object schema_of(const request::Field& field) {
  const request::Request defaults;
  json::object schema;
  const auto limit = [&] {
    schema["minimum"] = number_json(field.minimum);
    if (std::isfinite(field.maximum)) schema["maximum"] = number_json(field.maximum);
  };
  if (const auto* text = std::get_if<std::string request::Request::*>(&field.member)) {
    schema["type"] = "string";
    schema["maxLength"] = request::kMaxPromptBytes;
    if (!field.choices.empty()) schema["enum"] = words(field.choices);
    schema["default"] = defaults.**text;
  } else if (const auto* whole = std::get_if<int64_t request::Request::*>(&field.member)) {
    schema["type"] = "integer";
    limit();
    schema["default"] = defaults.**whole;
  } else if (std::holds_alternative<request::Texts request::Request::*>(field.member)) {
    schema["type"] = "array";
    schema["items"] = {{"type", "string"}, {"maxLength", request::kMaxPromptBytes}};
    schema["default"] = json::array();
  } else {
    schema["type"] = "number";
    limit();
    const auto* real = std::get_if<double request::Request::*>(&field.member);
    if (real != nullptr && std::isfinite(defaults.**real)) {
      schema["default"] = number_json(defaults.**real);
    }
  }
  schema["description"] = field.help;
  if (!field.aliases.empty()) schema["x-aliases"] = words(field.aliases);
  return schema;
}

std::string text_member(const json::object& object, std::string_view key,
                        std::string_view fallback) {
  const json::value* value = object.if_contains(key);
  return std::string(value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                            : fallback);
}

double number_member(const json::object& object, std::string_view key, double fallback) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : fallback;
}

bool flag_member(const json::object& object, std::string_view key, bool fallback) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

}  // namespace safelight::api
