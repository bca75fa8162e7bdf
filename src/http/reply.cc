#include <boost/json/serialize.hpp>

#include "api/openai/images_reply.h"
#include "http/exchange.h"

namespace safelight::http {
namespace {

namespace json = boost::json;

std::string_view openai_code(ErrorCode code) {
  return code == ErrorCode::kRefused ? "content_policy_violation" : error_info(code).name;
}

json::value or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace

Reply json_reply(const json::value& json, int status) {
  return {.status = status, .body = json::serialize(json)};
}

std::string error_body(const ErrorBody& body, std::string_view request_id) {
  const std::string& message = body.error.message;
  const char* name = error_info(body.error.code).name;
  switch (body.form) {
    case ErrorForm::kSdWebUi:
      return json::serialize(json::value{
          {"error", name}, {"detail", message}, {"body", body.field}, {"errors", message}});
    case ErrorForm::kOpenAi:
      return json::serialize(json::value{{"error",
                                          {{"message", message},
                                           {"type", api::openai::error_type(body.error.code)},
                                           {"param", or_null(body.field)},
                                           {"code", openai_code(body.error.code)}}}});
    case ErrorForm::kNative:
      break;
  }
  return json::serialize(json::value{{"error",
                                      {{"code", name},
                                       {"message", message},
                                       {"field", or_null(body.field)},
                                       {"request_id", or_null(request_id)}}}});
}

Reply error_reply(const Error& error, ErrorForm form, int status, std::string_view field) {
  Reply reply{.status = status != 0 ? status : error_info(error.code).http_status,
              .error = ErrorBody{error, form, std::string(field)}};
  reply.body = error_body(*reply.error, {});
  // OpenAI's clients read it: the same words are refused again.
  if (error.code == ErrorCode::kRefused) reply.headers.emplace_back("x-should-retry", "false");
  return reply;
}

}  // namespace safelight::http
