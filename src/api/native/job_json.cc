#include "api/native/job_json.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "base/base64.h"

namespace safelight::api::native {
namespace {

namespace json = boost::json;

/// An estimate to a tenth of a second; null when there is none.
json::value eta_json(double seconds) {
  if (seconds < 0 || !std::isfinite(seconds)) return nullptr;
  return std::round(seconds * 10) / 10;
}

json::value time_json(jobs::Time time) {
  if (time == 0) return nullptr;
  return json::value(iso_time(time));
}

json::value position_json(int64_t position) {
  if (position < 0) return nullptr;
  return position;
}

json::object links_json(std::string_view base, std::string_view id) {
  const std::string self = job_url(base, id);
  return {{"self", self}, {"events", self + "/events"}, {"preview", self + "/preview"}};
}

json::object result_json(const jobs::ResultFile& file, const std::string& job) {
  json::object result{
      {"index", file.index},           {"url", fmt::format("{}/results/{}", job, file.index)},
      {"media_type", file.media_type}, {"bytes", file.bytes},
      {"sha256", file.sha256},         {"width", file.width},
      {"height", file.height},         {"seed", file.seed},
      {"infotext", file.infotext}};
  if (file.subseed >= 0) result["subseed"] = file.subseed;
  if (!file.saved_as.empty()) result["saved_as"] = file.saved_as;
  return result;
}

json::object delivery_json(const jobs::Delivery& delivery) {
  json::object object{{"format", delivery.format},
                      {"quality", delivery.quality},
                      {"metadata", delivery.metadata},
                      {"save", delivery.save},
                      {"previews", delivery.previews}};
  if (!delivery.pattern.empty()) object["pattern"] = delivery.pattern;
  return object;
}

json::object event_head(const jobs::Event& event, std::string_view type) {
  return {{"type", type},
          {"job", event.job},
          {"sequence", event.sequence},
          {"time", iso_time(event.time)},
          {"state", jobs::state_name(event.state)}};
}

}  // namespace

std::string iso_time(jobs::Time time) {
  const auto seconds = static_cast<std::time_t>(time / 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), time % 1000);
}

std::string job_url(std::string_view base, std::string_view id) {
  return fmt::format("{}/api/v1/jobs/{}", base, id);
}

json::object progress_json(const jobs::Progress& progress) {
  return {{"fraction", std::round(progress.fraction() * 1e4) / 1e4},
          {"batch", progress.batch},
          {"batches", progress.batches},
          {"step", progress.step},
          {"steps", progress.steps}};
}

json::object live_json(std::string_view id, const jobs::LiveJob& live, std::string_view base) {
  return {{"id", id},
          {"state", jobs::state_name(live.state)},
          {"owner", live.owner},
          {"position", position_json(live.state == jobs::State::kQueued ? live.position : -1)},
          {"eta_seconds", eta_json(live.eta_seconds)},
          {"progress", progress_json(live.progress)},
          {"created", time_json(live.created)},
          {"started", time_json(live.started)},
          {"has_preview", live.preview != nullptr},
          {"links", links_json(base, id)}};
}

json::object job_json(const jobs::Job& job, const std::optional<jobs::LiveJob>& live,
                      std::string_view base) {
  json::object object{{"id", job.id},
                      {"state", jobs::state_name(job.state)},
                      {"owner", job.asked.owner},
                      {"source", job.asked.source},
                      {"priority", job.asked.priority},
                      {"attempt", job.attempt},
                      {"max_attempts", job.asked.max_attempts},
                      {"created", time_json(job.created)},
                      {"started", time_json(job.started)},
                      {"finished", time_json(job.finished)},
                      {"deadline", time_json(job.asked.deadline)},
                      {"timeout", static_cast<double>(job.asked.timeout_ms) / 1000}};
  if (!jobs::is_final(job.state)) {
    object["position"] = position_json(live ? live->position : -1);
    object["eta_seconds"] = eta_json(live ? live->eta_seconds : -1);
    object["progress"] = progress_json(live ? live->progress : jobs::Progress{});
    object["cancel_requested"] = job.cancel != jobs::CancelMode::kNone;
  }
  if (!job.worker.empty()) object["worker"] = job.worker;
  if (!job.asked.client_id.empty()) object["client_id"] = job.asked.client_id;
  if (!job.asked.model_sha256.empty()) object["model_sha256"] = job.asked.model_sha256;
  if (job.error) {
    object["error"] = {{"code", error_info(job.error->code).name}, {"message", job.error->message}};
  }
  object["request"] = request::to_json(job.asked.request);
  object["delivery"] = delivery_json(job.asked.delivery);
  const std::string self = job_url(base, job.id);
  json::array results;
  for (const jobs::ResultFile& file : job.results) results.push_back(result_json(file, self));
  object["results"] = std::move(results);
  object["links"] = links_json(base, job.id);
  return object;
}

json::object stored_event_json(std::string_view job, const jobs::StoredEvent& event) {
  json::object object{
      {"type", "state"}, {"job", job}, {"event", event.type}, {"time", iso_time(event.time)}};
  if (jobs::find_state(event.type)) object["state"] = event.type;
  if (event.type == "requeued") object["state"] = jobs::state_name(jobs::State::kQueued);
  if (!event.detail.empty()) object["detail"] = event.detail;
  return object;
}

std::string event_text(const jobs::Event& event) {
  json::object object;
  switch (event.kind) {
    case jobs::Event::Kind::kState:
      object = event_head(event, "state");
      if (!event.detail.empty()) object["detail"] = event.detail;
      break;
    case jobs::Event::Kind::kProgress:
      object = event_head(event, "progress");
      object["progress"] = progress_json(event.progress);
      object["eta_seconds"] = eta_json(event.eta_seconds);
      break;
    case jobs::Event::Kind::kPicture:
      object = event_head(event, "picture");
      object["index"] = event.detail;
      break;
    case jobs::Event::Kind::kPreview:
      object = event_head(event, "preview");
      object["media_type"] = "image/jpeg";
      object["image"] = base64_encode(event.jpeg);
      break;
  }
  return json::serialize(object);
}

std::string snapshot_text(std::string_view id, const jobs::LiveJob& live) {
  json::object object{{"type", "state"},
                      {"snapshot", true},
                      {"job", id},
                      {"state", jobs::state_name(live.state)},
                      {"progress", progress_json(live.progress)},
                      {"eta_seconds", eta_json(live.eta_seconds)},
                      {"position", position_json(live.position)}};
  return json::serialize(object);
}

}  // namespace safelight::api::native
