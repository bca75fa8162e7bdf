#include "jobs/redis_events.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/json.h"
#include "jobs/json_members.h"
#include "jobs/redis_jobs.h"

namespace safelight::jobs {
namespace {

namespace json = boost::json;
using Kind = Event::Kind;

constexpr size_t kMostHeadBytes = size_t{64} << 10;
constexpr std::array<std::pair<Kind, std::string_view>, 3> kLiveKinds = {{
    {Kind::kProgress, "progress"},
    {Kind::kPreview, "preview"},
    {Kind::kPicture, "picture"},
}};

}  // namespace

std::string to_bytes(const LiveEvent& live) {
  const Event& event = live.event;
  json::object head{{"origin", live.origin},
                    {"job", event.job},
                    {"owner", event.owner},
                    {"time", event.time},
                    {"batch", event.progress.batch},
                    {"batches", event.progress.batches},
                    {"step", event.progress.step},
                    {"steps", event.progress.steps},
                    {"eta_seconds", event.eta_seconds},
                    {"detail", event.detail}};
  for (const auto& [kind, name] : kLiveKinds) {
    if (kind == event.kind) head["kind"] = name;
  }
  return json::serialize(head) + "\n" + event.jpeg;
}

Result<LiveEvent> live_event_from(std::string_view bytes) {
  const size_t line = bytes.substr(0, kMostHeadBytes).find('\n');
  if (line == bytes.npos)
    return Error{ErrorCode::kInvalidArgument, "an event of another process has no head"};
  auto parsed = parse_json(bytes.substr(0, line));
  if (!parsed) return parsed.error();
  LiveEvent live;
  Event& event = live.event;
  std::string kind;
  MemberReader reader(*parsed, "event");
  reader.get("origin", live.origin)
      .get("kind", kind)
      .get("job", event.job)
      .get("owner", event.owner)
      .get("time", event.time)
      .get("batch", event.progress.batch)
      .get("batches", event.progress.batches)
      .get("step", event.progress.step)
      .get("steps", event.progress.steps)
      .get("eta_seconds", event.eta_seconds)
      .get("detail", event.detail);
  if (!reader.status()) return reader.status().error();
  for (const auto& [known, name] : kLiveKinds) {
    if (kind != name || event.job.empty()) continue;
    event.kind = known;
    event.state = State::kRunning;
    event.jpeg = bytes.substr(line + 1);
    return live;
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("an event of another process is of kind '{}'", kind.substr(0, 32))};
}

Result<StreamEntry> stream_entry_from(const RedisReply& reply) {
  if (auto pair = reply.as_array(2); !pair) return pair.error();
  auto id = reply.items[0].as_text();
  if (!id) return id.error();
  auto fields = RedisHash::of(reply.items[1]);
  if (!fields) return fields.error();
  StreamEntry entry{.id = std::string(*id),
                    .origin = std::string(fields->text("origin")),
                    .job = std::string(fields->text("job"))};
  if (fields->text("kind") == "cancel") {
    entry.cancel = find_cancel(fields->text("mode"));
    return entry;
  }
  const auto state = find_state(fields->text("state"));
  auto time = fields->integer("time");
  if (!time) return time.error();
  if (!state || entry.job.empty()) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("the broker's event {} names no job or no state", entry.id)};
  }
  entry.state = Event{.job = entry.job,
                      .owner = std::string(fields->text("owner")),
                      .time = *time,
                      .state = *state,
                      .detail = std::string(fields->text("detail"))};
  return entry;
}

}  // namespace safelight::jobs
