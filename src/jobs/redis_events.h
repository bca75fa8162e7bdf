#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jobs/events.h"
#include "jobs/redis_reply.h"

namespace safelight::jobs {

/// An event of a running job as processes tell each other: who says it, and what. As bytes a line
/// of JSON, then the picture of a preview.
struct LiveEvent {
  std::string origin;
  Event event;
};
std::string to_bytes(const LiveEvent& live);
/// Errors: kInvalidArgument for what is not in that form.
Result<LiveEvent> live_event_from(std::string_view bytes);

/// What a script told (lua/common.lua): a change of state, or that a job is to be cancelled.
struct StreamEntry {
  std::string id;  ///< in the stream
  std::string origin;
  std::optional<Event> state;
  std::string job;  ///< to cancel
  CancelMode cancel = CancelMode::kNone;
};
/// Errors: kUnavailable for what is not in that form.
Result<StreamEntry> stream_entry_from(const RedisReply& reply);

}  // namespace safelight::jobs
