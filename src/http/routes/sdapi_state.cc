#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/sdapi/progress.h"
#include "api/sdapi/results.h"
#include "http/routes/sdapi_parts.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace sdapi = api::sdapi;

constexpr size_t kHistory = 100;
constexpr size_t kPending = 1000;

/// The running jobs that the caller may end: the own ones; all for an admin.
std::vector<std::string> own_running(api::Backend& backend, const api::Principal& principal) {
  std::vector<std::string> ids;
  for (const auto& [id, job] : backend.jobs.hub().activity(principal.name).running) {
    if (principal.may_see(job.owner)) ids.push_back(id);
  }
  return ids;
}

Result<json::value> interrupt(api::Backend& backend, const Exchange& exchange) {
  for (const std::string& id : own_running(backend, exchange.principal())) {
    const auto state = backend.jobs.cancel(id, jobs::CancelMode::kInterrupt);
    if (!state && state.error().code != ErrorCode::kNotFound) return state.error();
  }
  return json::value(json::object());
}

Result<json::value> skip(api::Backend& backend, const Exchange& exchange) {
  for (const std::string& id : own_running(backend, exchange.principal())) {
    backend.workers.skip(id);
  }
  return json::value(json::object());
}

Result<json::value> history(api::Backend& backend, const Exchange& exchange) {
  const api::Principal& principal = exchange.principal();
  jobs::Store& store = backend.jobs.store();
  const std::optional<std::string> id = exchange.query("id");
  if (id && !id->empty()) {
    const Result<jobs::Job> job = store.find(*id);
    if (!job && job.error().code != ErrorCode::kNotFound) return job.error();
    if (!job || !principal.may_see(job->asked.owner)) return json::value(json::array());
    return json::value(sdapi::history({*job}));
  }
  jobs::JobQuery query{.limit = kHistory};
  if (!principal.is_admin()) query.owner = principal.name;
  const auto jobs = store.list(query);
  if (!jobs) return jobs.error();
  return json::value(sdapi::history(*jobs));
}

/// The job that a client calls by the id that it gave (force_task_id), or by ours.
Result<jobs::Job> find_task(api::Backend& backend, const api::Principal& principal,
                            const std::string& id) {
  Result<jobs::Job> job = backend.jobs.store().find_client_id(principal.name, id);
  if (job || job.error().code != ErrorCode::kNotFound) return job;
  job = backend.jobs.store().find(id);
  if (job && !principal.may_see(job->asked.owner)) {
    return Error{ErrorCode::kNotFound, "there is no such job"};
  }
  return job;
}

Result<json::value> task_progress(api::Backend& backend, const Exchange& exchange) {
  const Result<json::object> body = sdapi_body(exchange);
  if (!body) return body.error();
  const json::value* id = body->if_contains("id_task");
  if (id == nullptr || !id->is_string()) {
    return Error{ErrorCode::kInvalidArgument, "id_task must be the id of a task, a text"};
  }
  const json::value* last = body->if_contains("id_live_preview");
  const int64_t last_preview = last != nullptr && last->is_int64() ? last->get_int64() : -1;
  const Result<jobs::Job> job =
      find_task(backend, exchange.principal(), std::string(id->get_string()));
  if (!job) {
    if (job.error().code != ErrorCode::kNotFound) return job.error();
    return json::value(sdapi::task_progress(nullptr, nullptr, last_preview));
  }
  const std::optional<jobs::LiveJob> live = backend.jobs.hub().live(job->id);
  return json::value(sdapi::task_progress(live ? &*live : nullptr, &job->state, last_preview));
}

Result<json::value> pending_tasks(api::Backend& backend, const Exchange& exchange) {
  const auto jobs =
      backend.jobs.store().list({.owner = exchange.principal().name,
                                 .states = {jobs::State::kQueued, jobs::State::kRunning},
                                 .limit = kPending});
  if (!jobs) return jobs.error();
  json::array tasks;
  for (auto job = jobs->rbegin(); job != jobs->rend(); ++job) {
    tasks.emplace_back(job->asked.client_id.empty() ? job->id : job->asked.client_id);
  }
  const size_t size = tasks.size();
  return json::value(json::object{{"size", size}, {"tasks", std::move(tasks)}});
}

}  // namespace

void add_sdapi_state(Router& router, api::Backend& backend) {
  // Answered from memory, for clients that ask many times a second.
  RouteOptions often = sdapi_options(Access::kViewer, "sdapi_progress");
  often.rate_cost = 0;
  router.get("/sdapi/v1/progress", often, sdapi_at_once([&](Exchange& exchange) {
               const bool picture = !sdapi_flag(exchange, "skip_current_image") &&
                                    !sdapi_flag(exchange, "skipCurrentImage");
               const api::Principal& caller = exchange.principal();
               return json::value(sdapi::progress(backend.jobs.hub().activity(caller.name), caller,
                                                  picture, jobs::now()));
             }));
  often.operation = "sdapi_status";
  router.get("/sdapi/v1/status", often, sdapi_at_once([&](Exchange& exchange) {
               const api::Principal& caller = exchange.principal();
               return json::value(sdapi::status(backend.jobs.hub().activity(caller.name), caller,
                                                backend.facts.started, jobs::now()));
             }));
  often.operation = "internal_ping";
  router.get("/internal/ping", often,
             sdapi_at_once([](Exchange&) { return json::value(json::object()); }));
  often.operation = "internal_progress";
  router.post("/internal/progress", often,
              sdapi_blocking([&](Exchange& exchange) { return task_progress(backend, exchange); }));
  router.get("/internal/pendingTasks", sdapi_options(Access::kViewer, "internal_pending_tasks"),
             sdapi_blocking([&](Exchange& exchange) { return pending_tasks(backend, exchange); }));
  router.get("/sdapi/v1/history", sdapi_options(Access::kViewer, "sdapi_history"),
             sdapi_blocking([&](Exchange& exchange) { return history(backend, exchange); }));
  router.post("/sdapi/v1/interrupt", sdapi_options(Access::kUser, "sdapi_interrupt"),
              sdapi_blocking([&](Exchange& exchange) { return interrupt(backend, exchange); }));
  router.post("/sdapi/v1/skip", sdapi_options(Access::kUser, "sdapi_skip"),
              sdapi_blocking([&](Exchange& exchange) { return skip(backend, exchange); }));
}

}  // namespace safelight::http
