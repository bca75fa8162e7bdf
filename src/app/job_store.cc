#include "app/job_store.h"

#include "jobs/sqlite_store.h"

namespace safelight::app {

Result<JobStore> JobStore::open(const ServerSettings& settings, const std::filesystem::path& data) {
  const jobs::Retention retention{settings.keep_results.ms, settings.max_results.bytes};
  JobStore opened;
  if (settings.broker.empty()) {
    auto store = jobs::open_sqlite_store({.folder = data, .retention = retention});
    if (!store) return store.error();
    opened.store_ = std::move(*store);
    return opened;
  }
  auto store = jobs::open_redis_store(
      {.url = settings.broker, .ca_file = settings.broker_ca, .retention = retention});
  if (!store) return store.error();
  opened.redis_ = std::move(*store);
  opened.store_ = opened.redis_;
  return opened;
}

std::unique_ptr<JobStore::Relay> JobStore::start_relay(jobs::Service& service) const {
  return redis_ ? std::make_unique<Relay>(service, redis_) : nullptr;
}

}  // namespace safelight::app
