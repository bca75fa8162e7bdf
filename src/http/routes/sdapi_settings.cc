#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/sdapi/lists.h"
#include "http/routes/sdapi_parts.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace sdapi = api::sdapi;

constexpr std::string_view kCheckpoint = "sd_model_checkpoint";

/// Loads a checkpoint into this server's workers; where there are none those elsewhere load it
/// when they come to its jobs.
Status load(api::Backend& backend, const std::string& model) {
  return backend.workers.status().empty() ? Status() : backend.workers.load(model);
}

/// Turns what the client calls a checkpoint into its name, and loads it when it is another.
Status choose_checkpoint(api::Backend& backend, json::object& settings) {
  json::value* chosen = settings.if_contains(kCheckpoint);
  if (chosen == nullptr || chosen->get_string().empty()) return {};
  const auto model = backend.catalog.find(std::string(chosen->get_string()));
  if (!model) return model.error();
  const auto current = backend.catalog.find(backend.options.text(kCheckpoint));
  if (current && current->path == model->path) {
    settings.erase(kCheckpoint);
    return {};
  }
  *chosen = model->name;
  return load(backend, model->name);
}

Result<json::value> set_options(api::Backend& backend, const json::object& changes) {
  Result<json::object> settings = api::Options::check(changes);
  if (!settings) return settings.error();
  if (Status chosen = choose_checkpoint(backend, *settings); !chosen) return chosen.error();
  const auto updated = backend.options.set(*settings);
  if (!updated) return updated.error();
  json::array keys;
  for (const std::string& key : *updated) keys.push_back(json::object{{key, true}});
  return json::value(json::object{{"updated", std::move(keys)}});
}

Result<json::value> post_checkpoint(api::Backend& backend, const Exchange& exchange) {
  Result<json::object> body = sdapi_body(exchange);
  if (!body) return body.error();
  if (const auto named = exchange.query(kCheckpoint)) (*body)[kCheckpoint] = *named;
  const json::value* name = body->if_contains(kCheckpoint);
  if (name == nullptr || !name->is_string() || name->get_string().empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "sd_model_checkpoint must be the name of a model; GET /sdapi/v1/sd-models lists "
                 "them"};
  }
  const auto set = set_options(backend, {{kCheckpoint, *name}});
  if (!set) return set.error();
  return json::value(json::object{{"ok", true}});
}

/// What a worker has in memory now.
Result<json::value> get_checkpoint(api::Backend& backend) {
  for (const jobs::WorkerStatus& worker : backend.workers.status()) {
    if (worker.current_model.empty()) continue;
    const auto model = backend.catalog.find(worker.current_model);
    if (!model) continue;
    return json::value(json::object{{"type", "sd"},
                                    {"class", "StableDiffusion"},
                                    {"checkpoint", model->name},
                                    {"title", model->title()},
                                    {"name", model->name},
                                    {"filename", model->path.string()},
                                    {"hash", model->sha256}});
  }
  return json::value(json::object{{"type", nullptr}, {"class", nullptr}});
}

Result<json::value> done(const Status& status) {
  if (!status) return status.error();
  return json::value(json::object());
}

}  // namespace

void add_sdapi_settings(Router& router, api::Backend& backend) {
  const auto look = [](std::string_view operation) {
    return sdapi_options(Access::kViewer, operation);
  };
  const auto change = [](std::string_view operation) {
    return sdapi_options(Access::kAdmin, operation);
  };
  router.get("/sdapi/v1/options", look("sdapi_options"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::options(backend.options, backend.catalog));
             }));
  router.post("/sdapi/v1/options", change("sdapi_set_options"),
              sdapi_blocking([&](Exchange& exchange) -> Result<json::value> {
                const Result<json::object> body = sdapi_body(exchange);
                if (!body) return body.error();
                return set_options(backend, *body);
              }));
  router.get("/sdapi/v1/options-info", look("sdapi_options_info"),
             sdapi_at_once([](Exchange&) { return json::value(sdapi::options_info()); }));
  router.get("/sdapi/v1/checkpoint", look("sdapi_checkpoint"),
             sdapi_blocking([&](Exchange&) { return get_checkpoint(backend); }));
  router.post(
      "/sdapi/v1/checkpoint", change("sdapi_set_checkpoint"),
      sdapi_blocking([&](Exchange& exchange) { return post_checkpoint(backend, exchange); }));
  router.post("/sdapi/v1/unload-checkpoint", change("sdapi_unload_checkpoint"),
              sdapi_blocking([&](Exchange&) { return done(backend.workers.unload("")); }));
  router.post("/sdapi/v1/reload-checkpoint", change("sdapi_reload_checkpoint"),
              sdapi_blocking([&](Exchange&) {
                return done(load(backend, backend.options.text(kCheckpoint)));
              }));
  for (const char* const path :
       {"/sdapi/v1/refresh-checkpoints", "/sdapi/v1/refresh-vae", "/sdapi/v1/refresh-unets",
        "/sdapi/v1/refresh-loras", "/sdapi/v1/refresh-embeddings"}) {
    router.post(path, sdapi_options(Access::kUser, "sdapi_refresh"), sdapi_blocking([&](Exchange&) {
                  backend.catalog.refresh();
                  return json::value(json::object());
                }));
  }
}

}  // namespace safelight::http
