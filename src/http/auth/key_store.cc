#include "http/auth/key_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace safelight::http {
namespace {

constexpr std::chrono::nanoseconds kRefreshInterval = std::chrono::seconds(1);

Error unauthenticated(std::string message) {
  return {ErrorCode::kUnauthenticated, std::move(message)};
}

}  // namespace

bool KeyStore::refresh_due(Instant now) {
  if (file_.empty()) return false;
  const int64_t time = now.time_since_epoch() / std::chrono::nanoseconds(1);
  int64_t due = next_refresh_;
  return time >= due && next_refresh_.compare_exchange_strong(due, time + kRefreshInterval.count());
}

KeyStore::FileState KeyStore::file_state() const {
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) return {};
  constexpr int64_t kNanoseconds = 1'000'000'000;
  return {.inode = info.st_ino,
          .size = info.st_size,
          .changed = info.st_mtim.tv_sec * kNanoseconds + info.st_mtim.tv_nsec};
}

Status KeyStore::refresh() {
  if (file_.empty()) return {};
  const std::lock_guard one_at_a_time(refreshing_);
  const FileState state = file_state();
  if (state == read_) return {};
  read_ = state;  // also of a file that cannot be read: it is complained about once
  const Result<std::vector<KeyRecord>> records = read_keys(file_);
  if (!records) {
    any_ = true;  // there are keys, though nobody knows which: that lets nobody in
    return records.error();
  }
  auto fresh = std::make_shared<Keys>();
  for (const KeyRecord& record : *records) {
    fresh->digest_by_id[record.id] = record.sha256.reveal();
    fresh->by_digest[record.sha256.reveal()] = record;
  }
  if (!records->empty()) any_ = true;
  const std::lock_guard lock(mutex_);
  keys_ = std::move(fresh);
  return {};
}

std::shared_ptr<const KeyStore::Keys> KeyStore::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

Result<KeyRecord> KeyStore::find(std::string_view key, int64_t now) const {
  const auto keys = this->keys();
  // The look-up's time tells of the hash at most, from which nobody gets to the key.
  const std::string digest = key_digest(key);
  const auto found = keys->by_digest.find(digest);
  if (found == keys->by_digest.end() || !found->second.sha256.equals(digest))
    return unauthenticated("the API key is not known; see 'safelight keys add'");
  const KeyRecord& record = found->second;
  if (record.revoked != 0)
    return unauthenticated(fmt::format("the API key '{}' was revoked", record.name));
  if (!record.active(now))
    return unauthenticated(fmt::format("the API key '{}' has expired", record.name));
  return record;
}

Result<KeyRecord> KeyStore::find_id(std::string_view id, int64_t now) const {
  const auto keys = this->keys();
  const auto digest = keys->digest_by_id.find(std::string(id));
  if (digest != keys->digest_by_id.end()) {
    const KeyRecord& record = keys->by_digest.at(digest->second);
    if (record.active(now)) return record;
  }
  return unauthenticated("the API key that signed in is no longer valid");
}

bool KeyStore::touch_due(const KeyRecord& key, int64_t now) {
  if (now - key.last_used < kTouchInterval) return false;
  const std::lock_guard lock(mutex_);
  int64_t& touched = touched_[key.id];
  if (now - touched < kTouchInterval) return false;
  touched = now;
  return true;
}

Status KeyStore::touch(const std::string& id, int64_t now) { return touch_key(file_, id, now); }

}  // namespace safelight::http
