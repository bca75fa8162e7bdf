#include "http/routes/sdapi.h"

#include <boost/json/object.hpp>

#include "base/json.h"
#include "base/text.h"
#include "http/routes/sdapi_parts.h"

namespace safelight::http {
namespace {

namespace json = boost::json;

constexpr int kUnprocessable = 422;

Reply reply_of(const Result<json::value>& answer) {
  return answer ? json_reply(*answer) : sdapi_failure(answer.error());
}

}  // namespace

Handler sdapi_at_once(SdapiAnswer answer) {
  return [answer = std::move(answer)](Exchange& exchange) -> Awaitable<Reply> {
    co_return reply_of(answer(exchange));
  };
}

Handler sdapi_blocking(SdapiAnswer answer) {
  return [answer = std::move(answer)](Exchange& exchange) -> Awaitable<Reply> {
    const Result<json::value> given = co_await exchange.blocking([&] { return answer(exchange); });
    co_return reply_of(given);
  };
}

Reply sdapi_failure(const Error& error) {
  const int status = error.code == ErrorCode::kInvalidArgument ? kUnprocessable : 0;
  return error_reply(error, ErrorForm::kSdWebUi, status);
}

RouteOptions sdapi_options(Access access, std::string_view operation) {
  return {.access = access, .errors = ErrorForm::kSdWebUi, .operation = operation};
}

Result<json::object> sdapi_body(const Exchange& exchange) {
  if (trimmed(exchange.body()).empty()) return json::object();
  Result<json::value> body = parse_json(exchange.body());
  if (!body) return body.error();
  if (body->is_null()) return json::object();
  if (!body->is_object()) {
    return Error{ErrorCode::kInvalidArgument, "the body of a request is a JSON object"};
  }
  return std::move(body->get_object());
}

bool sdapi_flag(const Exchange& exchange, std::string_view name) {
  const std::string value = ascii_lower(exchange.query(name).value_or(""));
  return value == "true" || value == "1" || value == "yes" || value == "on";
}

void add_sdapi_routes(Router& router, api::Backend& backend) {
  add_sdapi_generation(router, backend);
  add_sdapi_state(router, backend);
  add_sdapi_settings(router, backend);
  add_sdapi_lists(router, backend);
  add_sdapi_server(router, backend);
}

}  // namespace safelight::http
