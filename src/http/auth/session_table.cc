#include "http/auth/session_table.h"

#include <span>

#include "base/hash.h"

namespace safelight::http {
namespace {

constexpr size_t kMostOfOne = 50;

std::string digest_of(std::string_view token) { return sha256(std::as_bytes(std::span(token))); }

}  // namespace

bool SessionTable::over(const Session& session, Instant now) const {
  return now - session.opened >= lifetime_ || now - session.used >= idle_;
}

std::string SessionTable::open(std::string user, std::string key_id, Instant now) {
  std::string token = random_token();
  const std::lock_guard lock(mutex_);
  std::erase_if(by_digest_, [&](const auto& entry) { return over(entry.second, now); });
  auto oldest = by_digest_.end(), oldest_own = by_digest_.end();
  size_t own = 0;
  for (auto entry = by_digest_.begin(); entry != by_digest_.end(); ++entry) {
    const Session& session = entry->second;
    const auto older_than = [&](const auto& other) {
      return other == by_digest_.end() || session.used < other->second.used;
    };
    if (older_than(oldest)) oldest = entry;
    if (session.user != user || session.key_id != key_id) continue;
    ++own;
    if (older_than(oldest_own)) oldest_own = entry;
  }
  if (own >= kMostOfOne)
    by_digest_.erase(oldest_own);
  else if (by_digest_.size() >= limit_)
    by_digest_.erase(oldest);
  by_digest_[digest_of(token)] = {.user = std::move(user),
                                  .key_id = std::move(key_id),
                                  .csrf = Secret(random_token()),
                                  .opened = now,
                                  .used = now};
  return token;
}

std::optional<SessionTable::Session> SessionTable::use(std::string_view token, Instant now) {
  const std::string digest = digest_of(token);
  const std::lock_guard lock(mutex_);
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return std::nullopt;
  if (over(found->second, now)) {
    by_digest_.erase(found);
    return std::nullopt;
  }
  found->second.used = now;
  return found->second;
}

void SessionTable::close(std::string_view token) {
  const std::string digest = digest_of(token);
  const std::lock_guard lock(mutex_);
  by_digest_.erase(digest);
}

size_t SessionTable::size() const {
  const std::lock_guard lock(mutex_);
  return by_digest_.size();
}

}  // namespace safelight::http
