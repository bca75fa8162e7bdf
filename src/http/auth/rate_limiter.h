#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

namespace safelight::http {

/// A point of the monotonic clock.
using Instant = std::chrono::steady_clock::time_point;

/// Token buckets by key: each holds what may be spent at once, a minute's worth, and fills evenly.
/// Remembers at most `max_keys`, those that were seen last. Any thread.
class RateLimiter {
 public:
  /// `per_minute` 0: everything is allowed.
  explicit RateLimiter(double per_minute, size_t max_keys = 65'536);

  struct Verdict {
    bool allowed = true;
    double limit = 0;        ///< tokens of a full bucket; 0: no limit
    double remaining = 0;    ///< tokens left
    double reset = 0;        ///< seconds until it is full
    double retry_after = 0;  ///< seconds until there is enough; 0 when allowed
  };
  /// Takes `cost` tokens if there are so many; what costs more than a bucket holds takes it whole.
  /// `per_minute`: of this key, when above 0.
  Verdict take(const std::string& key, double cost, Instant now, double per_minute = 0);
  /// Puts tokens back that were taken for what did not count after all.
  void give_back(const std::string& key, double tokens);

  size_t size() const;

 private:
  struct Bucket {
    std::string key;
    double tokens = 0, capacity = 0;
    Instant filled{};
  };
  Bucket& bucket(const std::string& key, double capacity, Instant now);

  const double per_minute_;
  const size_t max_keys_;
  mutable std::mutex mutex_;
  std::list<Bucket> buckets_;  ///< last seen first
  std::unordered_map<std::string, std::list<Bucket>::iterator> by_key_;
};

}  // namespace safelight::http
