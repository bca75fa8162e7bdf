#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/body_field.h"
#include "api/native/server_json.h"
#include "base/json.h"
#include "http/routes/native_parts.h"
#include "http/routes/visible_job.h"
#include "request/request.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace native = api::native;

Awaitable<Reply> get_queue(Exchange& exchange, api::Backend& backend) {
  constexpr int64_t kMost = 1000, kUsual = 100;
  const auto limit = number_query(exchange, "limit", kUsual, 0, kMost);
  if (!limit) co_return error_reply(limit.error(), ErrorForm::kNative);
  // A long queue takes a while to copy and sort.
  const auto work = [&] {
    return json_reply(native::queue_json(backend.jobs.hub().unfinished(), exchange.principal(),
                                         static_cast<size_t>(*limit), exchange.base_url()));
  };
  co_return co_await exchange.blocking(work);
}

Reply models_reply(api::Backend& backend, const api::Principal& who,
                   const std::string& kind = "checkpoint") {
  return json_reply(
      json::object{{"models", native::models_json(backend.catalog.models(kind),
                                                  backend.workers.status(), who.is_admin())}});
}

Awaitable<Reply> list_models(Exchange& exchange, api::Backend& backend) {
  const std::string kind = exchange.query("kind").value_or("checkpoint");
  const auto work = [&] { return models_reply(backend, exchange.principal(), kind); };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> refresh_models(Exchange& exchange, api::Backend& backend) {
  const auto work = [&] {
    backend.catalog.refresh();
    return models_reply(backend, exchange.principal());
  };
  co_return co_await exchange.blocking(work);
}

/// The name of the model that the body is about; empty for none.
Result<std::string> read_model_name(const std::string& body) {
  if (body.empty()) return std::string();
  const auto parsed = parse_json(body);
  if (!parsed) return parsed.error();
  constexpr double kMaxName = 4096;
  static constexpr api::BodyField kModel{
      "model", api::BodyField::Type::kText, 0, kMaxName, "", "\"\"", ""};
  if (!parsed->is_object()) {
    return Error{ErrorCode::kInvalidArgument,
                 "the body is a JSON object such as {\"model\": \"name\"}"};
  }
  const json::object& object = parsed->get_object();
  if (const json::value* model = object.if_contains("model")) {
    if (const auto wrong = api::check_value(kModel, *model, "")) return wrong->error;
  }
  return api::text_member(object, "model");
}

Reply done() { return json_reply(json::object{{"status", "done"}}); }

Awaitable<Reply> load_model(Exchange& exchange, api::Backend& backend) {
  const auto work = [&]() -> Reply {
    const auto name = read_model_name(exchange.body());
    if (!name) return error_reply(name.error(), ErrorForm::kNative, 0, "model");
    const auto model = backend.catalog.find(*name);
    if (!model) return error_reply(model.error(), ErrorForm::kNative, 0, "model");
    const Status loaded = backend.workers.load(model->name);
    return loaded ? done() : error_reply(loaded.error(), ErrorForm::kNative);
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> unload_model(Exchange& exchange, api::Backend& backend) {
  const auto work = [&]() -> Reply {
    auto name = read_model_name(exchange.body());
    if (!name) return error_reply(name.error(), ErrorForm::kNative, 0, "model");
    if (!name->empty()) {
      const auto model = backend.catalog.find(*name);
      if (!model) return error_reply(model.error(), ErrorForm::kNative, 0, "model");
      *name = model->name;
    }
    const Status unloaded = backend.workers.unload(*name);
    return unloaded ? done() : error_reply(unloaded.error(), ErrorForm::kNative);
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> list_samplers(Exchange&, api::Backend& backend) {
  co_return json_reply(
      native::samplers_json(backend.catalog.samplers(), backend.catalog.schedules()));
}

Awaitable<Reply> count_tokens(Exchange& exchange, api::Backend& backend) {
  const auto work = [&]() -> Reply {
    const auto parsed = parse_json(exchange.body());
    if (!parsed) return error_reply(parsed.error(), ErrorForm::kNative);
    const auto request = request::from_json(*parsed);
    if (!request) return error_reply(request.error(), ErrorForm::kNative);
    auto count = backend.catalog.count(request->prompt, request->prompt_syntax, request->steps);
    return count ? json_reply(std::move(*count)) : error_reply(count.error(), ErrorForm::kNative);
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> get_status(Exchange& exchange, api::Backend& backend) {
  co_return json_reply(native::status_json(backend.facts, backend.workers.status(),
                                           exchange.principal().is_admin()));
}

}  // namespace

void add_server_routes(Router& router, api::Backend& backend) {
  router.get("/api/v1/queue", {.access = Access::kViewer, .rate_cost = 0, .operation = "getQueue"},
             [&](Exchange& exchange) { return get_queue(exchange, backend); });
  router.get("/api/v1/models", {.access = Access::kViewer, .operation = "listModels"},
             [&](Exchange& exchange) { return list_models(exchange, backend); });
  router.post("/api/v1/models/load", {.access = Access::kAdmin, .operation = "loadModel"},
              [&](Exchange& exchange) { return load_model(exchange, backend); });
  router.post("/api/v1/models/unload", {.access = Access::kAdmin, .operation = "unloadModel"},
              [&](Exchange& exchange) { return unload_model(exchange, backend); });
  router.post("/api/v1/models/refresh", {.access = Access::kAdmin, .operation = "refreshModels"},
              [&](Exchange& exchange) { return refresh_models(exchange, backend); });
  router.get("/api/v1/samplers", {.access = Access::kViewer, .operation = "listSamplers"},
             [&](Exchange& exchange) { return list_samplers(exchange, backend); });
  router.post("/api/v1/tokens", {.access = Access::kUser, .operation = "countTokens"},
              [&](Exchange& exchange) { return count_tokens(exchange, backend); });
  router.get("/api/v1/status",
             {.access = Access::kViewer, .rate_cost = 0, .operation = "getStatus"},
             [&](Exchange& exchange) { return get_status(exchange, backend); });
}

}  // namespace safelight::http
