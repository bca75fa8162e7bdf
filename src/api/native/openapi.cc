#include "api/native/openapi.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <map>

#include "api/body_field.h"
#include "api/native/operation_docs.h"
#include "api/native/submit_body.h"
#include "api/openai/images_body.h"
#include "base/text.h"

namespace safelight::api::native {
namespace {

namespace json = boost::json;

json::object reference(std::string_view schema) {
  return {{"$ref", fmt::format("#/components/schemas/{}", schema)}};
}

json::object content(std::string_view media_type, json::object schema) {
  return {{media_type, {{"schema", std::move(schema)}}}};
}

json::object object_of(std::span<const BodyField> fields, bool with_request) {
  json::object properties;
  if (with_request) {
    for (const request::Field& field : request::fields()) properties[field.key] = schema_of(field);
  }
  for (const BodyField& field : fields) properties[field.key] = schema_of(field);
  return {{"type", "object"}, {"properties", std::move(properties)}};
}

json::object schemas() {
  json::object all = answer_schemas();
  all["Delivery"] = object_of(delivery_fields(), false);
  json::object job = object_of(job_fields(), true);
  job["properties"].as_object()["delivery"] = reference("Delivery");
  all["SingleJob"] = std::move(job);
  all["JobBatch"] = {{"type", "object"},
                     {"required", json::array{"jobs"}},
                     {"properties",
                      {{"jobs",
                        {{"type", "array"},
                         {"minItems", 1},
                         {"maxItems", kMaxBatch},
                         {"items", reference("SingleJob")}}}}}};
  all["JobRequest"] = {{"oneOf", json::array{reference("SingleJob"), reference("JobBatch")}}};
  json::object images = object_of(openai::images_fields(), true);
  images["required"] = json::array{"prompt"};
  all["ImagesRequest"] = std::move(images);
  return all;
}

/// "{name}" and "{name*}" of a pattern as parameters; `pattern` loses its stars.
json::array path_parameters(std::string& pattern) {
  json::array parameters;
  for (size_t open = pattern.find('{'); open != std::string::npos;
       open = pattern.find('{', open + 1)) {
    const size_t close = pattern.find('}', open);
    if (close == std::string::npos) break;
    std::string name = pattern.substr(open + 1, close - open - 1);
    if (name.ends_with('*')) {
      name.pop_back();
      pattern.erase(close - 1, 1);
    }
    parameters.push_back(json::object{
        {"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  return parameters;
}

std::string_view status_text(std::string_view status) {
  static const std::map<std::string_view, std::string_view> kTexts = {
      {"206", "The range that was asked for"},
      {"304", "Not changed"},
      {"400", "Something in it cannot be"},
      {"401", "Wrong credentials"},
      {"403", "Not allowed, or expired"},
      {"404", "There is none"},
      {"409", "The key means another request"},
      {"416", "No such range"},
      {"429", "Too much; later it may work"},
      {"503", "Not now"},
      {"507", "Not enough memory"}};
  const auto found = kTexts.find(status);
  return found == kTexts.end() ? "Error" : found->second;
}

void add_error(json::object& responses, std::string_view status) {
  json::object response{{"description", status_text(status)}};
  if (status[0] == '4' || status[0] == '5') {
    response["content"] = content("application/json", reference("Error"));
  }
  responses[status] = std::move(response);
}

json::object responses_of(const OperationDoc& doc, std::string_view role) {
  json::object success{{"description", "Success"}};
  if (!doc.answer.empty()) {
    success["content"] = content(doc.media_type, reference(doc.answer));
  } else {
    success["content"] = content(doc.media_type, json::object{});
  }
  json::object responses{{fmt::format("{}", doc.status), std::move(success)}};
  std::string_view errors = doc.errors;
  while (!errors.empty()) {
    const size_t end = std::min(errors.find(' '), errors.size());
    add_error(responses, errors.substr(0, end));
    errors.remove_prefix(std::min(end + 1, errors.size()));
  }
  if (!role.empty()) {
    responses["401"] = {{"description", "Credentials are missing or wrong"},
                        {"content", content("application/json", reference("Error"))}};
  }
  return responses;
}

json::object operation_of(const OperationRoute& route, json::array parameters) {
  json::object operation{{"operationId", route.operation}};
  const OperationDoc* doc = find_operation_doc(route.operation);
  if (doc == nullptr) {
    operation["tags"] = json::array{"other"};
    operation["responses"] = {{"200", {{"description", "Success"}}}};
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    return operation;
  }
  operation["tags"] = json::array{doc->tag};
  operation["summary"] = doc->summary;
  std::string description(doc->description);
  if (!route.role.empty()) {
    description += fmt::format("{}Needs the role {}.", description.empty() ? "" : " ", route.role);
  }
  if (!description.empty()) operation["description"] = description;
  for (const ParameterDoc& parameter : doc->parameters) {
    parameters.push_back(json::object{{"name", parameter.name},
                                      {"in", parameter.in},
                                      {"description", parameter.help},
                                      {"schema", {{"type", parameter.type}}}});
  }
  if (!parameters.empty()) operation["parameters"] = std::move(parameters);
  if (!doc->body.empty()) {
    operation["requestBody"] = {{"required", true},
                                {"content", content("application/json", reference(doc->body))}};
  }
  operation["responses"] = responses_of(*doc, route.role);
  if (route.role.empty()) operation["security"] = json::array{};
  return operation;
}

}  // namespace

bool is_documented(std::string_view operation) { return find_operation_doc(operation) != nullptr; }

json::object openapi_document(const std::vector<OperationRoute>& routes, std::string_view version,
                              std::string_view base) {
  json::object paths;
  for (const OperationRoute& route : routes) {
    std::string pattern = route.pattern;
    json::array parameters = path_parameters(pattern);
    json::value& path = paths[pattern];
    if (!path.is_object()) path.emplace_object();
    path.get_object()[ascii_lower(route.method)] = operation_of(route, std::move(parameters));
  }
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Safelight"},
            {"version", version},
            {"description", "Generates images. Every generation is a job that is kept durably."}}},
          {"servers", json::array{json::object{{"url", base}}}},
          {"security", json::array{json::object{{"bearer", json::array{}}},
                                   json::object{{"basic", json::array{}}}}},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", schemas()},
            {"securitySchemes",
             {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}},
              {"basic", {{"type", "http"}, {"scheme", "basic"}}}}}}}};
}

}  // namespace safelight::api::native
