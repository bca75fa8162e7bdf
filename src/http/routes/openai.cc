#include "http/routes/openai.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/openai/file_token.h"
#include "api/openai/images_body.h"
#include "api/openai/images_reply.h"
#include "http/routes/openai_images.h"
#include "http/routes/result_reply.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace openai = api::openai;

constexpr size_t kMaxBody = size_t{4} << 20;

Awaitable<Reply> list_models(Exchange& exchange, api::Backend& backend) {
  const auto work = [&] {
    json::array data;
    for (const api::ModelInfo& model : backend.catalog.models("checkpoint")) {
      data.push_back(openai::model_json(model.name, model.changed));
    }
    return json_reply(json::object{{"object", "list"}, {"data", std::move(data)}});
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> get_model(Exchange& exchange, api::Backend& backend) {
  const std::string id(exchange.param("model"));
  const auto work = [&]() -> Reply {
    const auto model = backend.catalog.find(openai::is_openai_model(id) ? "" : id);
    if (!model) return openai_error_reply(no_such_model(model.error()));
    return json_reply(openai::model_json(id, model->changed));
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> get_file(Exchange& exchange, api::Backend& backend) {
  const std::string token(exchange.param("token"));
  const auto work = [&]() -> Reply {
    const auto link = openai::read_file_token(backend.signing_key, token, jobs::now());
    if (!link) return error_reply(link.error(), ErrorForm::kOpenAi);
    const auto job = backend.jobs.store().find(link->job);
    if (!job) return error_reply(job.error(), ErrorForm::kOpenAi);
    return result_reply(exchange, backend, *job, link->index, ErrorForm::kOpenAi);
  };
  co_return co_await exchange.blocking(work);
}

}  // namespace

Reply openai_error_reply(const openai::ApiError& error) {
  Reply reply = json_reply(error.json(), error.status);
  if (!error.retry) reply.headers.emplace_back("x-should-retry", "false");
  return reply;
}

openai::ApiError no_such_model(const Error& error) {
  openai::ApiError answer = openai::api_error(error, "model");
  if (error.code == ErrorCode::kNotFound) answer.code = "model_not_found";
  return answer;
}

void add_openai_routes(Router& router, api::Backend& backend) {
  router.post("/v1/images/generations",
              {.errors = ErrorForm::kOpenAi, .max_body = kMaxBody, .operation = "createImage"},
              [&](Exchange& exchange) { return create_image(exchange, backend); });
  router.get(
      "/v1/models",
      {.access = Access::kViewer, .errors = ErrorForm::kOpenAi, .operation = "listOpenAiModels"},
      [&](Exchange& exchange) { return list_models(exchange, backend); });
  // A model's name may hold a slash.
  router.get(
      "/v1/models/{model*}",
      {.access = Access::kViewer, .errors = ErrorForm::kOpenAi, .operation = "getOpenAiModel"},
      [&](Exchange& exchange) { return get_model(exchange, backend); });
  // The signature in the link is its credential.
  router.get("/files/{token}",
             {.access = Access::kOpen, .errors = ErrorForm::kOpenAi, .operation = "getFile"},
             [&](Exchange& exchange) { return get_file(exchange, backend); });
}

}  // namespace safelight::http
