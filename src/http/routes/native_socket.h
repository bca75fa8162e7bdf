#pragma once

#include <memory>

#include "api/backend.h"
#include "http/exchange.h"
#include "http/routes/event_broadcast.h"
#include "http/routes/preview_interest.h"

namespace safelight::http {

/// What all watchers share.
struct WatchParts {
  std::shared_ptr<EventBroadcast> broadcast;
  std::shared_ptr<PreviewInterest> interest;
};

/// Serves one client of the WebSocket /api/v1/events, until it goes.
Awaitable<void> watch_events(Exchange& exchange, Socket& socket, api::Backend& backend,
                             WatchParts parts);

}  // namespace safelight::http
