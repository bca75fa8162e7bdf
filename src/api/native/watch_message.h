#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::api::native {

constexpr size_t kMaxWatchMessage = size_t{64} * 1024;  ///< bytes
constexpr size_t kMaxSubscriptions = 1000;              ///< of one socket
constexpr int64_t kMinPreviewInterval = 100;            ///< milliseconds

/// What a client asks for on the WebSocket /api/v1/events.
struct WatchMessage {
  bool subscribe = true;          ///< or unsubscribe
  std::vector<std::string> jobs;  ///< "*": all that the client may see
  bool previews = false;
  int64_t preview_interval_ms = 500;  ///< at most one preview of a job in that time
};

/// {"subscribe": "ID" | "*" | ["ID", ...], "previews": true, "preview_interval_ms": 500} or
/// {"unsubscribe": ...}. Errors: kInvalidArgument.
Result<WatchMessage> read_watch_message(std::string_view text);

/// What a socket answers: {"type": "subscribed", "job": ...} and {"type": "error", ...}.
std::string watch_answer(std::string_view type, std::string_view job);
std::string watch_error(const Error& error, std::string_view job = {});

}  // namespace safelight::api::native
