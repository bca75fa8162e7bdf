#include "api/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <mutex>
#include <span>

#include "api/quota.h"
#include "base/hash.h"
#include "image/codec.h"
#include "jobs/messages.h"
#include "request/filename.h"

namespace safelight::api {
namespace {

constexpr size_t kMaxBatch = 1000;
constexpr int kMaxPriority = 100;

Status check_delivery(const jobs::Delivery& delivery) {
  const auto format = image::find_format(delivery.format);
  if (!format) return format.error();
  constexpr int kMaxQuality = 100;
  if (delivery.quality < 1 || delivery.quality > kMaxQuality) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("quality is {}; 1 to {} is possible", delivery.quality, kMaxQuality)};
  }
  return delivery.pattern.empty() ? Status() : request::check_file_name_pattern(delivery.pattern);
}

std::string fingerprint_of(const Submission& submission) {
  const std::string text = boost::json::serialize(
      boost::json::array{request::to_json(submission.request), jobs::to_json(submission.delivery)});
  return sha256(std::as_bytes(std::span(text)));
}

/// The submission as a job, with nothing left to choose.
Result<jobs::NewJob> make_job(Backend& backend, const Principal& principal,
                              const Submission& submission) {
  if (Status good = check_delivery(submission.delivery); !good) return good.error();
  ModelInfo model;
  auto request = backend.catalog.resolve(
      submission.request,
      submission.source == "sdapi" ? UnknownNames::kIgnore : UnknownNames::kRefuse, model);
  if (!request) return request.error();
  jobs::NewJob job;
  job.request = std::move(*request);
  job.delivery = submission.delivery;
  job.owner = principal.name;
  job.model_sha256 = model.sha256;
  job.source = submission.source;
  job.client_id = submission.client_id;
  job.idempotency_key = submission.idempotency_key;
  job.fingerprint = fingerprint_of(submission);
  job.traceparent = submission.traceparent;
  job.priority =
      std::clamp(submission.priority, -kMaxPriority, principal.is_admin() ? kMaxPriority : 0);
  if (submission.deadline_ms > 0) job.deadline = jobs::now() + submission.deadline_ms;
  job.timeout_ms =
      submission.timeout_ms > 0 ? submission.timeout_ms : backend.limits.job_timeout_ms;
  return job;
}

Status check_room(Backend& backend, size_t wanted) {
  const auto counts = backend.jobs.store().counts();
  if (!counts) return counts.error();
  const auto queued = counts->jobs.find(jobs::State::kQueued);
  const int64_t waiting = queued == counts->jobs.end() ? 0 : queued->second;
  if (waiting + static_cast<int64_t>(wanted) <= backend.limits.max_queue) return {};
  return Error{ErrorCode::kBusy, fmt::format("{} jobs wait, and at most {} may; try again later",
                                             waiting, backend.limits.max_queue)};
}

}  // namespace

std::string ModelInfo::title() const {
  const std::string file = path.filename().string();
  return sha256.empty() ? file : fmt::format("{} [{}]", file, short_hash(sha256));
}

Result<std::vector<jobs::Accepted>> submit(Backend& backend, const Principal& principal,
                                           std::vector<Submission> submissions) {
  if (submissions.empty() || submissions.size() > kMaxBatch) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} jobs were given; 1 to {} can be submitted together",
                             submissions.size(), kMaxBatch)};
  }
  std::vector<jobs::NewJob> accepted;
  double cost = 0;
  int64_t pictures = 0;
  for (size_t i = 0; i < submissions.size(); ++i) {
    auto job = make_job(backend, principal, submissions[i]);
    if (!job) {
      return submissions.size() == 1 ? job.error() : job.error().in(fmt::format("jobs[{}]", i));
    }
    cost += jobs::cost_of(job->request);
    pictures += job->request.batch_size * job->request.batch_count;
    accepted.push_back(std::move(*job));
  }
  if (Status room = check_room(backend, accepted.size()); !room) return room.error();
  if (principal.quota == Quota{}) return backend.jobs.submit(accepted);
  // Nothing may come between the question what is used and using it.
  const std::lock_guard lock(backend.counting);
  if (Status good = check_quota(backend.jobs.store(), principal, pictures, cost, jobs::now());
      !good) {
    return good.error();
  }
  return backend.jobs.submit(accepted);
}

}  // namespace safelight::api
