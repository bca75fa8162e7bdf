#pragma once

#include <memory>
#include <string>

#include "jobs/redis_pool.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// A store on a Redis server that many processes share.
struct RedisOptions {
  std::string url;                        ///< as parse_redis_url takes it
  std::string name_prefix = "safelight";  ///< begins all keys: services that share a server differ
  std::string ca_file;                    ///< PEM, for rediss://; empty: the system's
  std::string certificate, key;           ///< PEM files for servers that ask for one
  bool verify = true;                     ///< the server's certificate and its name
  /// Also a server that does not sync each acceptance to its disk, or cannot be asked whether it
  /// does: the last seconds of what was accepted may then be lost in a crash of its machine.
  bool allow_weak_durability = false;
  int64_t connect_ms = 2'000, answer_ms = 5'000;
  int64_t retry_ms = 5'000;  ///< how long calls wait for a server that restarts
  size_t connections = 8;
  Retention retention;
};

/// See docs/scaling.md and lua/common.lua. The pictures of jobs are in Redis as well. One list()
/// gives at most 1,000 jobs, one order() at most 2,000 ids: a call must not hold the server up.
class RedisStore : public Store {
 public:
  RedisStore(std::shared_ptr<RedisPool> pool, const RedisOptions& options);

  Result<std::vector<Accepted>> submit(const std::vector<NewJob>& jobs) override;
  Result<Job> find(const std::string& id) override;
  Result<Job> find_client_id(const std::string& owner, const std::string& client_id) override;
  Result<std::vector<Job>> list(const JobQuery& query) override;
  Result<std::vector<StoredEvent>> events(const std::string& id) override;
  Result<std::string> read_result(const std::string& id, int64_t index) override;
  Result<std::optional<Claim>> claim(const ClaimOptions& options) override;
  Result<RenewedLease> renew(const Lease& lease, int64_t lease_ms) override;
  Result<bool> finish(const Lease& lease, const Outcome& outcome) override;
  Result<bool> give_back(const Lease& lease, bool counted, const std::string& reason) override;
  Result<State> cancel(const std::string& id, CancelMode mode) override;
  Result<std::vector<Change>> sweep() override;
  Result<QueueCounts> counts() override;
  Result<std::vector<std::string>> order(size_t limit) override;
  Result<Usage> usage(const std::string& owner, Time since) override;

  // For the relay.
  RedisPool& pool() { return *pool_; }
  const std::string& prefix() const { return prefix_; }
  /// Names this process in the events that its calls cause.
  const std::string& origin() const { return origin_; }

 private:
  struct Scripts;

  Result<RedisReply> run(const RedisScript& script, const std::vector<std::string_view>& words);
  Status store_pictures(const Outcome& outcome);

  std::shared_ptr<RedisPool> pool_;
  std::string prefix_, origin_;
  Retention retention_;
};

/// Connects and checks the server: its version, that it keeps what it accepts (append-only file,
/// synced) and drops nothing when full. Errors: kInvalidArgument for the URL and files,
/// kUnavailable when it does not answer or is set otherwise, with the remedy. SIGPIPE is ignored
/// from then on.
Result<std::unique_ptr<RedisStore>> open_redis_store(const RedisOptions& options);

}  // namespace safelight::jobs
