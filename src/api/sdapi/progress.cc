#include "api/sdapi/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/sdapi/results.h"
#include "base/base64.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;
using Entry = jobs::EventHub::Activity::Entry;

std::string text_of(const jobs::LiveJob& job) {
  if (job.state == jobs::State::kRunning) {
    return fmt::format("batch {} of {}", job.progress.batch + 1, job.progress.batches);
  }
  if (jobs::is_final(job.state)) return std::string(jobs::state_name(job.state));
  return job.position < 0 ? "waiting" : fmt::format("waiting, {} before it", job.position);
}

double seconds(jobs::Time time) { return static_cast<double>(time) / 1000; }

json::object state_of(const Entry* watched) {
  const jobs::Progress progress = watched != nullptr ? watched->second.progress : jobs::Progress();
  return {
      {"skipped", false},
      {"interrupted", false},
      {"stopping_generation", false},
      {"job", watched != nullptr ? "txt2img" : ""},
      {"job_count", watched != nullptr ? std::max<int64_t>(progress.batches, 1) : 0},
      {"job_timestamp", watched != nullptr ? timestamp(watched->second.created) : "0"},
      {"job_no", watched != nullptr ? progress.batch : 0},
      {"sampling_step", watched != nullptr ? progress.step : 0},
      {"sampling_steps", watched != nullptr ? progress.steps : 0},
  };
}

}  // namespace

const Entry* watched_job(const jobs::EventHub::Activity& activity, const Principal& principal) {
  for (const Entry& entry : activity.running) {
    if (entry.second.owner == principal.name) return &entry;
  }
  if (principal.is_admin() && !activity.running.empty()) return &activity.running.front();
  return activity.next ? &*activity.next : nullptr;
}

json::object progress(const jobs::EventHub::Activity& activity, const Principal& principal,
                      bool picture, jobs::Time now) {
  const Entry* watched = watched_job(activity, principal);
  json::value image, text;
  if (watched != nullptr) text = text_of(watched->second);
  if (watched != nullptr && picture && watched->second.preview) {
    image = base64_encode(watched->second.preview->jpeg);
  }
  return {
      {"id", watched != nullptr ? json::value(watched->first) : json::value()},
      {"progress", watched != nullptr ? watched->second.progress.fraction() : 0},
      {"eta_relative", watched != nullptr ? std::max(watched->second.eta_seconds, 0.0) : 0},
      {"state", state_of(watched)},
      {"current_image", std::move(image)},
      {"textinfo", std::move(text)},
      {"queued", activity.queued},
      {"timestamp", seconds(now)},
  };
}

json::object status(const jobs::EventHub::Activity& activity, const Principal& principal,
                    jobs::Time server_started, jobs::Time now) {
  const Entry* watched = watched_job(activity, principal);
  const jobs::LiveJob none;
  const jobs::LiveJob& job = watched != nullptr ? watched->second : none;
  const bool runs = job.state == jobs::State::kRunning;
  return {
      {"status", activity.running.empty() ? "idle" : "running"},
      {"task", watched != nullptr ? "txt2img" : ""},
      {"timestamp", watched != nullptr ? json::value(seconds(job.created)) : json::value()},
      {"current", seconds(now)},
      {"id", watched != nullptr ? watched->first : ""},
      {"job", job.progress.batch},
      {"jobs", watched != nullptr ? std::max<int64_t>(job.progress.batches, 1) : 0},
      {"total", activity.queued + activity.running.size()},
      {"step", job.progress.step},
      {"steps", job.progress.steps},
      {"queued", activity.queued},
      {"uptime", seconds(now - server_started)},
      {"elapsed", runs ? json::value(seconds(now - job.started)) : json::value()},
      {"eta", job.eta_seconds >= 0 ? json::value(job.eta_seconds) : json::value()},
      {"progress", job.progress.fraction()},
  };
}

json::object task_progress(const jobs::LiveJob* live, const jobs::State* state,
                           int64_t last_preview) {
  const jobs::State current =
      live != nullptr ? live->state : (state != nullptr ? *state : jobs::State::kExpired);
  const bool known = live != nullptr || state != nullptr;
  json::object answer{
      {"active", known && current == jobs::State::kRunning},
      {"queued", known && current == jobs::State::kQueued},
      {"completed", known && jobs::is_final(current)},
      {"progress", nullptr},
      {"eta", nullptr},
      {"live_preview", nullptr},
      {"id_live_preview", last_preview},
      {"textinfo", nullptr},
  };
  if (live == nullptr) return answer;
  answer["textinfo"] = text_of(*live);
  answer["progress"] = live->progress.fraction();
  answer["step"] = live->progress.step;
  answer["steps"] = live->progress.steps;
  answer["batch_no"] = live->progress.batch;
  answer["batch_count"] = live->progress.batches;
  if (live->eta_seconds >= 0) answer["eta"] = live->eta_seconds;
  if (live->preview && static_cast<int64_t>(live->preview->sequence) != last_preview) {
    answer["live_preview"] = "data:image/jpeg;base64," + base64_encode(live->preview->jpeg);
    answer["id_live_preview"] = live->preview->sequence;
  }
  return answer;
}

}  // namespace safelight::api::sdapi
