#include "jobs/redis_jobs.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <random>

#include "base/json.h"
#include "jobs/messages.h"

namespace safelight::jobs {
namespace {

namespace json = boost::json;

Error no_job_of_ours(std::string_view id, std::string_view what) {
  return Error{ErrorCode::kUnavailable,
               fmt::format("the broker's job '{}': {}. Did another version of Safelight write it?",
                           id.substr(0, 64), what)};
}

ErrorCode find_error_code(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); code++) {
    if (error_info(static_cast<ErrorCode>(code)).name == name) return static_cast<ErrorCode>(code);
  }
  return ErrorCode::kInternal;
}

Result<std::vector<ResultFile>> results_from(std::string_view text) {
  std::vector<ResultFile> files;
  if (text.empty()) return files;
  auto parsed = parse_json(text);
  if (!parsed) return parsed.error();
  const json::array* list = parsed->if_array();
  if (list == nullptr) return Error{ErrorCode::kInvalidArgument, "its results are no list"};
  for (const json::value& item : *list) {
    auto file = result_file_from_json(item);
    if (!file) return file.error();
    files.push_back(*std::move(file));
  }
  return files;
}

/// The numbers of the hash.
Status read_numbers(const RedisHash& hash, Job& job) {
  int64_t attempt = 0;
  const std::pair<const char*, int64_t*> numbers[] = {{"attempt", &attempt},
                                                      {"created", &job.created},
                                                      {"started", &job.started},
                                                      {"finished", &job.finished}};
  for (const auto& [field, number] : numbers) {
    auto value = hash.integer(field);
    if (!value) return value.error();
    *number = *value;
  }
  job.attempt = static_cast<int>(attempt);
  return {};
}

}  // namespace

std::vector<std::string> submit_words(const NewJob& job) {
  constexpr size_t kRandomDigits = 12;
  const request::Request& request = job.request;
  return {random_digits(kRandomDigits),
          json::serialize(to_json(job)),
          job.owner,
          std::to_string(job.priority),
          fmt::format("{}", cost_of(request)),
          std::to_string(request.batch_size * request.batch_count),
          job.model_sha256.empty() ? request.model : job.model_sha256,
          job.policy,
          job.client_id,
          job.idempotency_key,
          job.fingerprint,
          std::to_string(job.deadline),
          std::to_string(job.max_attempts)};
}

Result<Job> job_from_hash(const RedisReply& reply) {
  auto hash = RedisHash::of(reply);
  if (!hash) return hash.error();
  if (hash->empty()) return Error{ErrorCode::kNotFound, "no such job"};
  Job job;
  job.id = hash->text("id");
  const auto state = find_state(hash->text("state"));
  if (!state) return no_job_of_ours(job.id, "it is in no known state");
  job.state = *state;
  auto parsed = parse_json(hash->text("asked"));
  if (!parsed) return no_job_of_ours(job.id, parsed.error().message);
  auto asked = new_job_from_json(*parsed);
  if (!asked) return no_job_of_ours(job.id, asked.error().message);
  job.asked = *std::move(asked);
  if (auto read = read_numbers(*hash, job); !read) return read.error();
  if (job.state == State::kRunning) job.cancel = find_cancel(hash->text("cancel"));
  job.worker = hash->text("worker");
  if (const auto code = hash->text("error_code"); !code.empty())
    job.error =
        JobError{.code = find_error_code(code), .message = std::string(hash->text("error"))};
  auto results = results_from(hash->text("results"));
  if (!results) return no_job_of_ours(job.id, results.error().message);
  job.results = *std::move(results);
  return job;
}

Result<StoredEvent> event_from_line(std::string_view line, int64_t sequence) {
  StoredEvent event{.sequence = sequence};
  const size_t type = line.find(' ');
  const size_t detail = type == line.npos ? line.npos : line.find(' ', type + 1);
  if (detail == line.npos) return no_job_of_ours("", "a line of its log has no type");
  const auto [end, error] = std::from_chars(line.data(), line.data() + type, event.time);
  if (error != std::errc() || end != line.data() + type)
    return no_job_of_ours("", "a line of its log has no time");
  event.type = line.substr(type + 1, detail - type - 1);
  event.detail = line.substr(detail + 1);
  return event;
}

std::string_view cancel_name(CancelMode mode) {
  switch (mode) {
    case CancelMode::kDrop:
      return "drop";
    case CancelMode::kInterrupt:
      return "interrupt";
    case CancelMode::kNone:
      break;
  }
  return "none";
}

CancelMode find_cancel(std::string_view name) {
  if (name == "drop") return CancelMode::kDrop;
  return name == "interrupt" ? CancelMode::kInterrupt : CancelMode::kNone;
}

Result<State> state_of(const RedisReply& reply) {
  auto text = reply.as_text();
  if (!text) return text.error();
  const auto state = find_state(*text);
  if (!state) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("the broker answered '{}'; expected the name of "
                             "a job's state",
                             text->substr(0, 64))};
  }
  return *state;
}

std::string random_digits(size_t count) {
  static constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  thread_local std::random_device device;
  std::string digits;
  for (size_t i = 0; i < count; i++) digits += kDigits[device() % kDigits.size()];
  return digits;
}

}  // namespace safelight::jobs
