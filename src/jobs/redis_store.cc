#include "jobs/redis_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <span>

#include "base/hash.h"
#include "jobs/messages.h"
#include "jobs/outcome.h"
#include "jobs/redis_jobs.h"

namespace safelight::jobs {
namespace {

constexpr size_t kTokenDigits = 26;   // 130 bits: no two calls have the same
constexpr size_t kMostListed = 1000;  // bounds the work of one call on the server
constexpr size_t kMostOrdered = 2000;
constexpr size_t kBatch = 1000;  // of jobs that are accepted in one step
constexpr int kSweeps = 50;      // of bounded work each, in one call
constexpr int kCommits = 3;      // tries, when pictures vanish under way
constexpr std::string_view kUncommittedSeconds = "3600";

constexpr std::array kStates = {State::kQueued, State::kRunning,   State::kSucceeded,
                                State::kFailed, State::kCancelled, State::kRefused,
                                State::kExpired};

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

Error unknown_job(const std::string& id) {
  return Error{ErrorCode::kNotFound, fmt::format("job '{}' does not exist (any more)", id)};
}

std::vector<std::string_view> views(const std::vector<std::string>& words) {
  return {words.begin(), words.end()};
}

}  // namespace

struct RedisStore::Scripts {
  RedisScript submit{"submit"}, claim{"claim"}, renew{"renew"}, finish{"finish"},
      give_back{"give_back"}, cancel{"cancel"}, sweep{"sweep"}, list{"list"}, counts{"counts"},
      order{"order"}, usage{"usage"};

  static const Scripts& get() {
    static const Scripts scripts;
    return scripts;
  }
};

RedisStore::RedisStore(std::shared_ptr<RedisPool> pool, const RedisOptions& options)
    : pool_(std::move(pool)),
      prefix_(options.name_prefix + ":"),
      origin_(random_digits(kTokenDigits)),
      retention_(options.retention) {}

Result<RedisReply> RedisStore::run(const RedisScript& script,
                                   const std::vector<std::string_view>& words) {
  return pool_->run(script, prefix_, words);
}

Result<std::vector<Accepted>> RedisStore::submit(const std::vector<NewJob>& jobs) {
  if (jobs.size() > kBatch) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} jobs at once; at most {}", jobs.size(), kBatch)};
  }
  std::vector<std::string> words{random_digits(kTokenDigits), origin_};
  for (const NewJob& job : jobs) {
    for (std::string& word : submit_words(job)) words.push_back(std::move(word));
  }
  auto reply = run(Scripts::get().submit, views(words));
  if (!reply) return reply.error();
  if (auto list = reply->as_array(1); !list) return list.error();
  if (reply->items[0].text == "conflict") {
    auto number = reply->items.back().as_integer();
    const size_t which = number && *number >= 0 ? static_cast<size_t>(*number) : jobs.size();
    return Error{
        ErrorCode::kConflict,
        fmt::format("the idempotency key '{}' was used for another request; take a new key "
                    "for each",
                    which < jobs.size() ? jobs[which].idempotency_key : "")};
  }
  if (reply->items[0].text != "ok" || reply->items.size() != 1 + 2 * jobs.size()) {
    return Error{
        ErrorCode::kUnavailable,
        fmt::format("the broker answered a submission with a list of {}; expected 'ok' and "
                    "two words a job",
                    reply->items.size())};
  }
  std::vector<Accepted> accepted;
  for (size_t i = 0; i < jobs.size(); i++) {
    accepted.push_back(
        {.id = reply->items[1 + 2 * i].text, .repeated = reply->items[2 + 2 * i].text == "1"});
  }
  return accepted;
}

Result<Job> RedisStore::find(const std::string& id) {
  auto reply = pool_->call({"HGETALL", prefix_ + "job:" + id});
  if (!reply) return reply.error();
  auto job = job_from_hash(*reply);
  if (!job && job.error().code == ErrorCode::kNotFound) return unknown_job(id);
  return job;
}

Result<Job> RedisStore::find_client_id(const std::string& owner, const std::string& client_id) {
  auto reply = pool_->call(
      {"GET", fmt::format("{}client:{}:{}:{}", prefix_, owner.size(), owner, client_id)});
  if (!reply) return reply.error();
  if (reply->nil()) return unknown_job(client_id);
  auto id = reply->as_text();
  if (!id) return id.error();
  return find(std::string(*id));
}

Result<std::vector<Job>> RedisStore::list(const JobQuery& query) {
  std::vector<std::string> words{std::to_string(std::min(query.limit, kMostListed)), query.before,
                                 query.owner ? "1" : "0", query.owner.value_or("")};
  const std::span<const State> states =
      query.states.empty() ? std::span<const State>(kStates) : std::span(query.states);
  for (const State state : states) words.emplace_back(state_name(state));
  auto reply = run(Scripts::get().list, views(words));
  if (!reply) return reply.error();
  if (auto array = reply->as_array(0); !array) return array.error();
  std::vector<Job> jobs;
  for (const RedisReply& item : reply->items) {
    auto job = job_from_hash(item);
    if (!job) return job.error();
    jobs.push_back(*std::move(job));
  }
  return jobs;
}

Result<std::vector<StoredEvent>> RedisStore::events(const std::string& id) {
  auto reply = pool_->call({"LRANGE", prefix_ + "log:" + id, "0", "-1"});
  if (!reply) return reply.error();
  if (auto array = reply->as_array(0); !array) return array.error();
  if (reply->items.empty()) return unknown_job(id);
  std::vector<StoredEvent> events;
  for (const RedisReply& item : reply->items) {
    auto line = item.as_text();
    if (!line) return line.error();
    auto event = event_from_line(*line, static_cast<int64_t>(events.size()) + 1);
    if (!event) return event.error();
    events.push_back(*std::move(event));
  }
  return events;
}

Result<std::string> RedisStore::read_result(const std::string& id, int64_t index) {
  auto job = find(id);
  if (!job) return job.error();
  const auto file = std::find_if(job->results.begin(), job->results.end(),
                                 [&](const ResultFile& result) { return result.index == index; });
  if (file == job->results.end()) {
    return Error{ErrorCode::kNotFound, fmt::format("job '{}' has no result {}", id, index)};
  }
  auto reply = pool_->call({"GET", prefix_ + "blob:" + file->sha256});
  if (!reply) return reply.error();
  if (reply->nil()) {
    return Error{ErrorCode::kNotFound, fmt::format("result {} of job '{}' was removed", index, id)};
  }
  auto data = reply->as_text();
  if (!data) return data.error();
  if (sha256(bytes_of(*data)) != file->sha256) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("result {} of job '{}' does not match its hash {}: the broker's data "
                             "were changed; run the job again",
                             index, id, file->sha256)};
  }
  return std::move(reply->text);
}

Result<std::optional<Claim>> RedisStore::claim(const ClaimOptions& options) {
  const std::vector<std::string> words{random_digits(kTokenDigits),
                                       origin_,
                                       options.worker,
                                       options.loaded_model,
                                       std::to_string(options.lease_ms),
                                       std::to_string(options.patience_ms),
                                       options.policy};
  auto reply = run(Scripts::get().claim, views(words));
  if (!reply) return reply.error();
  if (reply->nil()) return std::optional<Claim>();
  auto job = job_from_hash(*reply);
  if (!job) return job.error();
  // A repeated call may find that its job went on meanwhile.
  if (job->state != State::kRunning || job->worker != options.worker) return std::optional<Claim>();
  Lease lease{.job = job->id, .attempt = job->attempt, .worker = options.worker};
  return std::optional(Claim{.lease = std::move(lease), .job = *std::move(job)});
}

Result<RenewedLease> RedisStore::renew(const Lease& lease, int64_t lease_ms) {
  auto reply = run(Scripts::get().renew, {lease.job, std::to_string(lease.attempt), lease.worker,
                                          std::to_string(lease_ms)});
  if (!reply) return reply.error();
  if (auto array = reply->as_array(2); !array) return array.error();
  return RenewedLease{.held = reply->items[0].text == "1",
                      .cancel = find_cancel(reply->items[1].text)};
}

Status RedisStore::store_pictures(const Outcome& outcome) {
  for (const FinishedPicture& picture : outcome.pictures) {
    // Until the commit it has a time to live, so that one that is never committed goes away.
    auto reply = pool_->call({"SET", prefix_ + "blob:" + picture.file.sha256, picture.data, "NX",
                              "EX", kUncommittedSeconds});
    if (!reply) return reply.error();
  }
  return {};
}

Result<bool> RedisStore::finish(const Lease& lease, const Outcome& outcome) {
  if (auto sound = check_outcome(outcome); !sound) return sound.error();
  boost::json::array files;
  uint64_t bytes = 0;
  for (const FinishedPicture& picture : outcome.pictures) {
    files.push_back(to_json(picture.file));
    bytes += picture.file.bytes;
  }
  std::vector<std::string> words{random_digits(kTokenDigits),
                                 origin_,
                                 lease.job,
                                 std::to_string(lease.attempt),
                                 lease.worker,
                                 std::string(state_name(outcome.state)),
                                 outcome.error ? error_info(outcome.error->code).name : "",
                                 outcome.error ? outcome.error->message : "",
                                 boost::json::serialize(files),
                                 std::to_string(bytes)};
  for (const FinishedPicture& picture : outcome.pictures) words.push_back(picture.file.sha256);
  for (int i = 0; i < kCommits; i++) {
    if (auto stored = store_pictures(outcome); !stored) return stored.error();
    auto reply = run(Scripts::get().finish, views(words));
    if (!reply) return reply.error();
    auto text = reply->as_text();
    if (!text) return text.error();
    if (*text == "committed" || *text == "lost") return *text == "committed";
  }
  return Error{
      ErrorCode::kUnavailable,
      fmt::format("job '{}': the broker forgets pictures before they are committed; is its "
                  "maxmemory-policy noeviction?",
                  lease.job)};
}

Result<bool> RedisStore::give_back(const Lease& lease, bool counted, const std::string& reason) {
  auto reply = run(Scripts::get().give_back, {origin_, lease.job, std::to_string(lease.attempt),
                                              lease.worker, counted ? "1" : "0", reason});
  if (!reply) return reply.error();
  if (reply->text == "lost") return false;
  auto state = state_of(*reply);
  if (!state) return state.error();
  return true;
}

Result<State> RedisStore::cancel(const std::string& id, CancelMode mode) {
  auto reply = run(Scripts::get().cancel, {origin_, id, cancel_name(mode)});
  if (!reply) return reply.error();
  if (reply->text == "missing") return unknown_job(id);
  return state_of(*reply);
}

Result<std::vector<Change>> RedisStore::sweep() {
  std::vector<Change> changes;
  for (int i = 0; i < kSweeps; i++) {
    auto reply = run(Scripts::get().sweep, {origin_, std::to_string(retention_.max_age_ms),
                                            std::to_string(retention_.max_bytes)});
    if (!reply) return reply.error();
    if (auto array = reply->as_array(1); !array) return array.error();
    for (size_t at = 1; at + 2 < reply->items.size(); at += 3) {
      auto state = state_of(reply->items[at + 2]);
      if (!state) return state.error();
      changes.push_back(
          {.job = reply->items[at].text, .owner = reply->items[at + 1].text, .state = *state});
    }
    if (reply->items[0].text != "1") break;
  }
  return changes;
}

Result<QueueCounts> RedisStore::counts() {
  std::vector<std::string_view> words;
  for (const State state : kStates) words.push_back(state_name(state));
  auto reply = run(Scripts::get().counts, words);
  if (!reply) return reply.error();
  if (auto array = reply->as_array(kStates.size() + 1); !array) return array.error();
  QueueCounts counts;
  for (size_t i = 0; i < kStates.size(); i++) {
    auto number = reply->items[i].as_integer();
    if (!number) return number.error();
    counts.jobs[kStates[i]] = *number;
  }
  auto cost = reply->items[kStates.size()].as_real();
  if (!cost) return cost.error();
  counts.queued_cost = *cost;
  return counts;
}

Result<std::vector<std::string>> RedisStore::order(size_t limit) {
  auto reply = run(Scripts::get().order, {std::to_string(std::min(limit, kMostOrdered))});
  if (!reply) return reply.error();
  if (auto array = reply->as_array(0); !array) return array.error();
  std::vector<std::string> ids;
  for (const RedisReply& item : reply->items) ids.push_back(item.text);
  return ids;
}

Result<Store::Usage> RedisStore::usage(const std::string& owner, Time since) {
  auto reply = run(Scripts::get().usage, {owner, std::to_string(since)});
  if (!reply) return reply.error();
  if (auto array = reply->as_array(2); !array) return array.error();
  auto pictures = reply->items[0].as_integer();
  if (!pictures) return pictures.error();
  auto cost = reply->items[1].as_real();
  if (!cost) return cost.error();
  return Usage{.pictures = *pictures, .cost = *cost};
}

}  // namespace safelight::jobs
