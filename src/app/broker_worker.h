#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/engine_settings.h"
#include "jobs/redis_store.h"

namespace safelight::app {

/// A machine that draws for a service: `safelight worker --broker`.
struct BrokerWorker {
  jobs::RedisOptions broker;
  std::string name;        ///< among all workers of the service; empty for host and process
  std::string output_dir;  ///< where pictures go that are to be saved besides; empty: nowhere
  std::string pattern;     ///< of their names
  int64_t grace_seconds = 30;
  MachineFlags machine;
};

/// Draws jobs of the broker until SIGINT or SIGTERM; then the running job is given the grace to
/// end, else it goes back to the queue. Errors: those of open_redis_store.
Status run_broker_worker(const BrokerWorker& worker);

/// The command of the process that draws, with the same flags.
std::vector<std::string> drawing_command(const MachineFlags& flags);

/// A worker's name where none is given: of this host and process.
std::string default_worker_name();

}  // namespace safelight::app
