#include <boost/json/value.hpp>

#include "jobs/json_members.h"
#include "jobs/messages.h"

namespace safelight::jobs {

namespace json = boost::json;

json::object to_json(const Delivery& delivery) {
  return {{"format", delivery.format},     {"quality", delivery.quality},
          {"metadata", delivery.metadata}, {"save", delivery.save},
          {"pattern", delivery.pattern},   {"previews", delivery.previews}};
}

Result<Delivery> delivery_from_json(const json::value& value) {
  Delivery delivery;
  MemberReader reader(value, "delivery");
  reader.get("format", delivery.format)
      .get("quality", delivery.quality)
      .get("metadata", delivery.metadata)
      .get("save", delivery.save)
      .get("pattern", delivery.pattern)
      .get("previews", delivery.previews);
  if (!reader.status()) return reader.status().error();
  return delivery;
}

json::object to_json(const ResultFile& file) {
  return {{"index", file.index},      {"sha256", file.sha256},   {"media_type", file.media_type},
          {"bytes", file.bytes},      {"width", file.width},     {"height", file.height},
          {"seed", file.seed},        {"subseed", file.subseed}, {"infotext", file.infotext},
          {"saved_as", file.saved_as}};
}

Result<ResultFile> result_file_from_json(const json::value& value) {
  ResultFile file;
  MemberReader reader(value, "file");
  reader.get("index", file.index)
      .get("sha256", file.sha256)
      .get("media_type", file.media_type)
      .get("bytes", file.bytes)
      .get("width", file.width)
      .get("height", file.height)
      .get("seed", file.seed)
      .get("subseed", file.subseed)
      .get("infotext", file.infotext)
      .get("saved_as", file.saved_as);
  if (!reader.status()) return reader.status().error();
  return file;
}

json::object to_json(const NewJob& job) {
  return {{"request", request::to_json(job.request)},
          {"delivery", to_json(job.delivery)},
          {"owner", job.owner},
          {"model_sha256", job.model_sha256},
          {"source", job.source},
          {"client_id", job.client_id},
          {"idempotency_key", job.idempotency_key},
          {"fingerprint", job.fingerprint},
          {"traceparent", job.traceparent},
          {"policy", job.policy},
          {"priority", job.priority},
          {"deadline", job.deadline},
          {"timeout_ms", job.timeout_ms},
          {"max_attempts", job.max_attempts}};
}

Result<NewJob> new_job_from_json(const json::value& value) {
  NewJob job;
  MemberReader reader(value, "job");
  reader.get("owner", job.owner)
      .get("model_sha256", job.model_sha256)
      .get("source", job.source)
      .get("client_id", job.client_id)
      .get("idempotency_key", job.idempotency_key)
      .get("fingerprint", job.fingerprint)
      .get("traceparent", job.traceparent)
      .get("policy", job.policy)
      .get("priority", job.priority)
      .get("deadline", job.deadline)
      .get("timeout_ms", job.timeout_ms)
      .get("max_attempts", job.max_attempts);
  if (!reader.status()) return reader.status().error();
  if (const json::value* given = reader.find("request")) {
    auto request = request::from_json(*given);
    if (!request) return request.error().in("job.request");
    job.request = std::move(*request);
  }
  if (const json::value* given = reader.find("delivery")) {
    auto delivery = delivery_from_json(*given);
    if (!delivery) return delivery.error().in("job");
    job.delivery = std::move(*delivery);
  }
  return job;
}

}  // namespace safelight::jobs
