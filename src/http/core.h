#pragma once

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>

#include "http/provenance.h"
#include "http/server.h"

namespace safelight::http {

/// What is open; lives on with the metrics that show it.
struct Counts {
  std::atomic<size_t> connections = 0, sockets = 0;
};

/// What all connections of a server share.
struct Core {
  Core(ServerOptions server_options, const Router& routes, Gatekeeper& keeper, Metrics& numbers)
      : options(std::move(server_options)),
        router(routes),
        gatekeeper(keeper),
        metrics(numbers),
        pool(static_cast<size_t>(options.blocking_threads)) {}

  const ServerOptions options;
  const Router& router;
  Gatekeeper& gatekeeper;
  Metrics& metrics;
  TrustedProxies proxies;  ///< set before the first connection
  boost::asio::thread_pool pool;
  std::atomic<bool> stopping = false;  ///< connections end with their current answer
  std::shared_ptr<Counts> counts = std::make_shared<Counts>();
};

}  // namespace safelight::http
