#include "jobs/running_job.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "jobs/json_members.h"

namespace safelight::jobs {
namespace {

namespace json = boost::json;

/// Before so much is done, the past tells more about the time that is left than this run does.
constexpr double kTellingFraction = 0.2;

Error not_allowed(const std::string& what) { return {ErrorCode::kCorruptFile, what}; }

}  // namespace

bool speaks_of(const json::object& head, const Lease& lease) {
  const json::value value = head;
  MemberReader reader(value, "message");
  std::string job;
  int attempt = 0;
  reader.get("job", job).get("attempt", attempt);
  return reader.status().ok() && job == lease.job && attempt == lease.attempt;
}

RunningJob::RunningJob(Claim claim, Service& service)
    : claim_(std::move(claim)), service_(service), started_at_(Clock::now()) {
  progress_.batches = job().asked.request.batch_count;
  progress_.steps = job().asked.request.steps;
}

Status RunningJob::take(Message message) {
  if (!speaks_of(message.head, lease())) return {};
  const std::string kind = message.kind();
  const json::value head = message.head;
  if (kind == "progress") return take_progress(head);
  if (kind == "picture") return take_picture(head, std::move(message.bytes));
  if (kind == "preview") {
    Event shown = event(Event::Kind::kPreview);
    shown.jpeg = std::move(message.bytes);
    service_.hub().publish(std::move(shown));
    return {};
  }
  if (kind != "started") return not_allowed(fmt::format("a message '{}' is not known", kind));
  MemberReader reader(head, kind);
  const std::lock_guard lock(mutex_);
  reader.get("load_seconds", load_seconds_);
  started_ = true;
  started_at_ = Clock::now();
  return reader.status();
}

Status RunningJob::take_progress(const json::value& head) {
  Progress progress;
  MemberReader reader(head, "progress");
  reader.get("batch", progress.batch)
      .get("batches", progress.batches)
      .get("step", progress.step)
      .get("steps", progress.steps);
  if (!reader.status()) return not_allowed(reader.status().error().message);
  {
    const std::lock_guard lock(mutex_);
    progress_ = progress;
  }
  service_.hub().publish(event(Event::Kind::kProgress));
  return {};
}

Status RunningJob::take_picture(const json::value& head, std::string bytes) {
  const json::value* description = head.get_object().if_contains("file");
  if (description == nullptr) return not_allowed("a picture without 'file'");
  auto file = result_file_from_json(*description);
  if (!file) return not_allowed(file.error().message);
  const request::Request& request = job().asked.request;
  const std::string hash = sha256(std::as_bytes(std::span(bytes)));
  if (file->sha256 != hash || file->bytes != bytes.size())
    return not_allowed("a picture that does not match its hash");
  Event came = event(Event::Kind::kPicture);
  came.detail = std::to_string(file->index);
  {
    const std::lock_guard lock(mutex_);
    const auto next = static_cast<int64_t>(pictures_.size());
    if (file->index != next || next >= request.batch_size * request.batch_count)
      return not_allowed(fmt::format("picture {} where {} was due", file->index, next));
    pictures_.push_back({std::move(*file), std::move(bytes)});
  }
  service_.hub().publish(std::move(came));
  return {};
}

bool RunningJob::started() const {
  const std::lock_guard lock(mutex_);
  return started_;
}

double RunningJob::load_seconds() const {
  const std::lock_guard lock(mutex_);
  return load_seconds_;
}

std::vector<FinishedPicture> RunningJob::take_pictures() {
  const std::lock_guard lock(mutex_);
  return std::move(pictures_);
}

/// By the past before the run has come far, by its own speed then.
double RunningJob::eta_seconds() const {
  const double fraction = progress_.fraction();
  const double elapsed = std::chrono::duration<double>(Clock::now() - started_at_).count();
  const double whole = service_.eta().estimate(job().asked.request);
  if (whole >= 0 && (!started_ || fraction < kTellingFraction))
    return started_ ? std::max(0.0, whole - elapsed) : whole;
  if (fraction <= 0) return -1;
  return elapsed / fraction * (1 - fraction);
}

Event RunningJob::event(Event::Kind kind) const {
  const std::lock_guard lock(mutex_);
  return {.kind = kind,
          .job = lease().job,
          .owner = job().asked.owner,
          .state = State::kRunning,
          .progress = progress_,
          .eta_seconds = eta_seconds()};
}

void RunningJob::publish_state(State state, const std::string& detail) {
  Event change = event(Event::Kind::kState);
  change.state = state;
  change.detail = detail;
  if (is_final(state)) change.eta_seconds = 0;
  service_.hub().publish(std::move(change));
}

}  // namespace safelight::jobs
