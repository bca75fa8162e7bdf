// What every store promises, on Redis.
#include "unit/jobs/redis_server.h"
#include "unit/jobs/store_contract.h"

namespace safelight::jobs {
namespace {

class RedisHarness : public StoreHarness {
 public:
  void open(const Retention& retention) override {
    if (!server_) server_ = std::make_unique<RedisServer>();
    store_.reset();
    RedisOptions options = server_->options();
    options.retention = retention;
    store_ = RedisServer::open(options);
  }
  Store& store() override { return *store_; }
  std::string missing() const override {
    return RedisServer::installed() ? "" : "/usr/bin/redis-server is not installed";
  }

 private:
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisStore> store_;
};

std::unique_ptr<StoreHarness> make() { return std::make_unique<RedisHarness>(); }

INSTANTIATE_TEST_SUITE_P(Redis, StoreContract, testing::Values(&make));

}  // namespace
}  // namespace safelight::jobs
