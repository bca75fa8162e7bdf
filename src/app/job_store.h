#pragma once

#include <filesystem>
#include <memory>

#include "app/server_settings.h"
#include "base/result.h"
#include "jobs/redis_relay.h"
#include "jobs/redis_store.h"
#include "jobs/service.h"

namespace safelight::app {

/// Where a server's jobs live: SQLite in its data folder, or the Redis server of a service.
class JobStore {
 public:
  using Relay = jobs::RedisRelay;

  /// Errors: those of open_sqlite_store and open_redis_store.
  static Result<JobStore> open(const ServerSettings& settings, const std::filesystem::path& data);

  std::shared_ptr<jobs::Store> store() const { return store_; }
  /// Brings events of other processes of the service; null for a server of its own.
  std::unique_ptr<Relay> start_relay(jobs::Service& service) const;

 private:
  std::shared_ptr<jobs::Store> store_;
  std::shared_ptr<jobs::RedisStore> redis_;  ///< the same, when it is one
};

}  // namespace safelight::app
