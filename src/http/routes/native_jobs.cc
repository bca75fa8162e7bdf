#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/native/job_json.h"
#include "api/native/submit_body.h"
#include "base/json.h"
#include "base/text.h"
#include "http/routes/native_parts.h"
#include "http/routes/visible_job.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace native = api::native;

constexpr size_t kMaxSubmitBody = size_t{16} << 20;
constexpr size_t kMaxHeaderText = 255;

/// An error with the path and the limits of the field that caused it.
Reply field_error_reply(const api::FieldError& wrong, const std::string& request_id) {
  json::object error{
      {"code", error_info(wrong.error.code).name},
      {"message", wrong.error.message},
      {"field", wrong.field.empty() ? json::value(nullptr) : json::value(wrong.field)},
      {"request_id", request_id}};
  if (!wrong.limits.empty()) error["limits"] = wrong.limits;
  return json_reply(json::object{{"error", std::move(error)}},
                    error_info(wrong.error.code).http_status);
}

/// "jobs[3]: ..." is about jobs[3].
std::string field_of(const Error& error) {
  if (!error.message.starts_with("jobs[")) return {};
  return error.message.substr(0, error.message.find(']') + 1);
}

/// What a request brings beside its body.
struct SubmitHeaders {
  std::string idempotency_key, traceparent;
};

/// Blocks.
json::object accepted_json(api::Backend& backend, const jobs::Accepted& accepted,
                           std::string_view base) {
  jobs::LiveJob known;
  if (const auto live = backend.jobs.hub().live(accepted.id)) {
    known = *live;
  } else if (const auto job = backend.jobs.store().find(accepted.id)) {
    known.state = job->state;  // one that was there already, and has ended
  }
  json::object object = native::live_json(accepted.id, known, base);
  for (const char* key : {"owner", "progress", "created", "started", "has_preview"}) {
    object.erase(key);
  }
  object["repeated"] = accepted.repeated;
  return object;
}

/// Reads the body and submits its jobs. Blocks.
Reply submit(api::Backend& backend, const Exchange& exchange, const SubmitHeaders& headers) {
  const auto parsed = parse_json(exchange.body());
  if (!parsed) return error_reply(parsed.error(), ErrorForm::kNative);
  native::SubmitBody body;
  if (const auto wrong = native::read_submit_body(*parsed, body)) {
    return field_error_reply(*wrong, exchange.request_id());
  }
  for (size_t i = 0; i < body.submissions.size(); ++i) {
    api::Submission& submission = body.submissions[i];
    submission.traceparent = headers.traceparent;
    if (submission.idempotency_key.empty() && !headers.idempotency_key.empty()) {
      submission.idempotency_key =
          body.batch ? fmt::format("{}#{}", headers.idempotency_key, i) : headers.idempotency_key;
    }
  }
  const auto accepted = api::submit(backend, exchange.principal(), std::move(body.submissions));
  if (!accepted) {
    return error_reply(accepted.error(), ErrorForm::kNative, 0, field_of(accepted.error()));
  }
  const std::string base = exchange.base_url();
  const json::array warnings(body.warnings.begin(), body.warnings.end());
  constexpr int kAccepted = 202;
  if (body.batch) {
    json::array list;
    for (const jobs::Accepted& job : *accepted) list.push_back(accepted_json(backend, job, base));
    return json_reply(json::object{{"jobs", std::move(list)}, {"warnings", warnings}}, kAccepted);
  }
  json::object object = accepted_json(backend, accepted->front(), base);
  object["warnings"] = warnings;
  Reply reply = json_reply(object, kAccepted);
  reply.headers.emplace_back("Location", native::job_url(base, accepted->front().id));
  return reply;
}

Awaitable<Reply> submit_jobs(Exchange& exchange, api::Backend& backend) {
  const SubmitHeaders headers{.idempotency_key = std::string(exchange.header("Idempotency-Key")),
                              .traceparent = std::string(exchange.header("traceparent"))};
  if (headers.idempotency_key.size() > kMaxHeaderText) {
    co_return error_reply(
        {ErrorCode::kInvalidArgument,
         fmt::format("the header Idempotency-Key has {} bytes; at most {} are possible",
                     headers.idempotency_key.size(), kMaxHeaderText)},
        ErrorForm::kNative);
  }
  const auto work = [&] { return submit(backend, exchange, headers); };
  co_return co_await exchange.blocking(work);
}

Result<jobs::JobQuery> list_query(const Exchange& exchange) {
  constexpr int64_t kMost = 500, kUsual = 50;
  jobs::JobQuery query;
  const auto limit = number_query(exchange, "limit", kUsual, 1, kMost);
  if (!limit) return limit.error();
  query.limit = static_cast<size_t>(*limit);
  query.before = exchange.query("before").value_or("");
  const api::Principal& who = exchange.principal();
  query.owner = who.is_admin() ? exchange.query("owner") : std::optional(who.name);
  const std::string states = exchange.query("state").value_or("");
  for (size_t begin = 0; begin < states.size();) {
    const size_t end = std::min(states.find(',', begin), states.size());
    const std::string name = states.substr(begin, end - begin);
    const auto state = jobs::find_state(name);
    if (!state) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("state is '{}'; queued, running, succeeded, failed, cancelled, "
                               "refused and expired are known, separated by commas",
                               utf8_prefix(name, kMaxHeaderText))};
    }
    query.states.push_back(*state);
    begin = end + 1;
  }
  return query;
}

Awaitable<Reply> list_jobs(Exchange& exchange, api::Backend& backend) {
  const auto query = list_query(exchange);
  if (!query) co_return error_reply(query.error(), ErrorForm::kNative);
  const auto work = [&]() -> Reply {
    const auto found = backend.jobs.store().list(*query);
    if (!found) return error_reply(found.error(), ErrorForm::kNative);
    const std::string base = exchange.base_url();
    json::array list;
    for (const jobs::Job& job : *found) {
      list.push_back(native::job_json(job, backend.jobs.hub().live(job.id), base));
    }
    json::object answer{{"jobs", std::move(list)}, {"next_before", nullptr}};
    if (found->size() == query->limit) answer["next_before"] = found->back().id;
    return json_reply(answer);
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> get_job(Exchange& exchange, api::Backend& backend) {
  const std::string id(exchange.param("id"));
  // The many who ask how far a job is are answered from memory.
  const auto live = backend.jobs.hub().live(id);
  const bool unfinished = live && !jobs::is_final(live->state);
  if (unfinished && exchange.principal().may_see(live->owner) && !flag_query(exchange, "detail")) {
    co_return json_reply(native::live_json(id, *live, exchange.base_url()));
  }
  const auto work = [&]() -> Reply {
    const auto job = find_visible(backend, exchange.principal(), id);
    if (!job) return error_reply(job.error(), ErrorForm::kNative);
    return json_reply(native::job_json(*job, backend.jobs.hub().live(id), exchange.base_url()));
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> cancel_job(Exchange& exchange, api::Backend& backend) {
  const std::string id(exchange.param("id"));
  const std::string mode = exchange.query("mode").value_or("drop");
  if (mode != "drop" && mode != "interrupt") {
    co_return error_reply(
        {ErrorCode::kInvalidArgument, fmt::format("mode is '{}'; drop or interrupt is possible",
                                                  utf8_prefix(mode, kMaxHeaderText))},
        ErrorForm::kNative, 0, "mode");
  }
  const auto work = [&]() -> Reply {
    const auto job = find_visible(backend, exchange.principal(), id);
    if (!job) return error_reply(job.error(), ErrorForm::kNative);
    const auto state = backend.jobs.cancel(
        id, mode == "interrupt" ? jobs::CancelMode::kInterrupt : jobs::CancelMode::kDrop);
    if (!state) return error_reply(state.error(), ErrorForm::kNative);
    return json_reply(json::object{{"id", id},
                                   {"state", jobs::state_name(*state)},
                                   {"cancel_requested", *state == jobs::State::kRunning}});
  };
  co_return co_await exchange.blocking(work);
}

}  // namespace

void add_job_routes(Router& router, api::Backend& backend) {
  router.post("/api/v1/jobs", {.max_body = kMaxSubmitBody, .operation = "submitJobs"},
              [&](Exchange& exchange) { return submit_jobs(exchange, backend); });
  router.get("/api/v1/jobs", {.access = Access::kViewer, .operation = "listJobs"},
             [&](Exchange& exchange) { return list_jobs(exchange, backend); });
  router.get("/api/v1/jobs/{id}",
             {.access = Access::kViewer, .rate_cost = 0, .operation = "getJob"},
             [&](Exchange& exchange) { return get_job(exchange, backend); });
  router.remove("/api/v1/jobs/{id}", {.rate_cost = 0, .operation = "cancelJob"},
                [&](Exchange& exchange) { return cancel_job(exchange, backend); });
}

}  // namespace safelight::http
