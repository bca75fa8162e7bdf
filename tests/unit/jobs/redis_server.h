#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "jobs/redis_store.h"

namespace safelight::jobs {

/// A redis-server of a test's own, with its data in a temporary folder. Killed and removed with it.
class RedisServer {
 public:
  struct Setup {
    std::vector<std::string> settings = {"--appendonly", "yes", "--appendfsync", "always"};
    bool tls = false;  ///< with ca(), and a certificate for "localhost"
    std::string password;
  };

  /// Whether redis-server is installed.
  static bool installed();

  RedisServer() : RedisServer(Setup{}) {}
  explicit RedisServer(Setup setup);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void start();  ///< again after kill(), with the same data and address; returns when it answers
  void kill();   ///< as kill -9
  void signal(int number) const;

  int port() const { return port_; }
  std::string url(const std::string& credentials = "") const;
  std::string ca() const { return (folder_ / "ca.crt").string(); }
  std::filesystem::path folder() const { return folder_; }

  /// Options with short waits.
  RedisOptions options() const;
  /// A store that must open.
  std::unique_ptr<RedisStore> open() const { return open(options()); }
  static std::unique_ptr<RedisStore> open(const RedisOptions& options);

 private:
  Setup setup_;
  std::filesystem::path folder_;
  int port_ = 0;
  pid_t process_ = 0;
};

/// What a test asks for: small, of that owner.
NewJob small_job(const std::string& owner = "ann", int64_t steps = 1);

/// A picture with its right hash.
FinishedPicture picture_of(const std::string& data, int64_t index = 0);

}  // namespace safelight::jobs
