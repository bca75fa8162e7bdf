#include "http/auth/rate_limiter.h"

#include <algorithm>

namespace safelight::http {
namespace {

constexpr double kSecondsAMinute = 60;
// So that who waits as long as told is not sent away for rounding.
constexpr double kRounding = 1e-9;

}  // namespace

RateLimiter::RateLimiter(double per_minute, size_t max_keys)
    : per_minute_(per_minute), max_keys_(std::max<size_t>(1, max_keys)) {}

RateLimiter::Bucket& RateLimiter::bucket(const std::string& key, double capacity, Instant now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    if (buckets_.size() >= max_keys_) {
      by_key_.erase(buckets_.back().key);
      buckets_.pop_back();
    }
    buckets_.push_front({.key = key, .tokens = capacity, .capacity = capacity, .filled = now});
    by_key_[key] = buckets_.begin();
    return buckets_.front();
  }
  buckets_.splice(buckets_.begin(), buckets_, found->second);
  Bucket& bucket = buckets_.front();
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.capacity = capacity;
  bucket.tokens += std::max(0.0, seconds) * capacity / kSecondsAMinute;
  bucket.tokens = std::min(bucket.tokens, capacity);
  bucket.filled = std::max(bucket.filled, now);
  return bucket;
}

RateLimiter::Verdict RateLimiter::take(const std::string& key, double cost, Instant now,
                                       double per_minute) {
  const double capacity = per_minute > 0 ? per_minute : per_minute_;
  if (capacity <= 0 || cost <= 0) return {};
  const double wanted = std::min(cost, capacity);
  const std::lock_guard lock(mutex_);
  Bucket& own = bucket(key, capacity, now);
  Verdict verdict{.allowed = own.tokens + kRounding >= wanted, .limit = capacity};
  const double per_second = capacity / kSecondsAMinute;
  if (verdict.allowed)
    own.tokens = std::max(0.0, own.tokens - wanted);
  else
    verdict.retry_after = (wanted - own.tokens) / per_second;
  verdict.remaining = own.tokens;
  verdict.reset = (capacity - own.tokens) / per_second;
  return verdict;
}

void RateLimiter::give_back(const std::string& key, double tokens) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  Bucket& own = *found->second;
  own.tokens = std::min(own.capacity, own.tokens + tokens);
}

size_t RateLimiter::size() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

}  // namespace safelight::http
