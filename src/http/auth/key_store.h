#pragma once

#include <sys/types.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "http/auth/key_file.h"
#include "http/auth/rate_limiter.h"

namespace safelight::http {

/// The API keys of a running server, which follow their file. Any thread; find() never blocks.
class KeyStore {
 public:
  /// An empty path: no keys.
  explicit KeyStore(std::filesystem::path file) : file_(std::move(file)) {}

  /// Whether refresh() should be called: about once a second.
  bool refresh_due(Instant now);
  /// Reads the file if it has changed. When it cannot be read the keys stay as they were, but are
  /// refused once the file is gone. Errors: those of read_keys. Blocks.
  Status refresh();

  /// The key with this text, if it is active. Errors: kUnauthenticated saying why not.
  Result<KeyRecord> find(std::string_view key, int64_t now) const;
  /// The same for the id of a key that was shown before.
  Result<KeyRecord> find_id(std::string_view id, int64_t now) const;

  /// Whether there are keys, also revoked ones; once true, true.
  bool any() const { return any_; }

  /// Whether a use of the key should be written down; true once an interval.
  bool touch_due(const KeyRecord& key, int64_t now);
  /// Writes it down. Blocks.
  Status touch(const std::string& id, int64_t now);

 private:
  struct FileState {
    ino_t inode = 0;
    int64_t size = -1, changed = 0;  ///< changed: nanoseconds
    bool operator==(const FileState&) const = default;
  };
  struct Keys {
    std::unordered_map<std::string, KeyRecord> by_digest;
    std::unordered_map<std::string, std::string> digest_by_id;
  };
  FileState file_state() const;
  std::shared_ptr<const Keys> keys() const;

  const std::filesystem::path file_;
  std::atomic<int64_t> next_refresh_ = 0;  ///< nanoseconds of the monotonic clock
  std::atomic<bool> any_ = false;
  std::mutex refreshing_;  ///< guards read_
  FileState read_;         ///< of the file when it was read last
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_ = std::make_shared<Keys>();
  std::unordered_map<std::string, int64_t> touched_;  ///< by id, what is being written down
};

}  // namespace safelight::http
