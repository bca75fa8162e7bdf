#include "http/auth/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"

namespace safelight::http {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr size_t kIdDigits = 12;
constexpr size_t kDigestDigits = 64;
constexpr size_t kMostNameBytes = 100;
constexpr uint64_t kMostFileBytes = uint64_t{16} << 20;

/// One process at a time changes the keys. The lock is a file of its own, since the keys' file is
/// replaced by each change.
class FileLock {
 public:
  explicit FileLock(const fs::path& file) {
    std::error_code ignored;
    if (file.has_parent_path()) fs::create_directories(file.parent_path(), ignored);
    fd_ = ::open((file.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FileLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool held() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

json::object to_json(const KeyRecord& key) {
  return {{"id", key.id},
          {"name", key.name},
          {"role", api::role_name(key.role)},
          {"sha256", key.sha256.reveal()},
          {"pictures_per_day", key.quota.pictures},
          {"megapixel_steps_per_day", key.quota.megapixel_steps},
          {"requests_per_minute", key.per_minute},
          {"created", key.created},
          {"expires", key.expires},
          {"last_used", key.last_used},
          {"revoked", key.revoked}};
}

/// Reads the members of one key, remembering the first that is wrong.
class KeyReader {
 public:
  explicit KeyReader(const json::object& object) : object_(object) {}

  std::string text(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    return blame(name, "a text"), "";
  }
  double number(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    json::error_code failure;
    const double got = value == nullptr ? -1 : value->to_number<double>(failure);
    if (failure || !(got >= 0)) blame(name, "a number from 0");
    return got;
  }
  int64_t integer(std::string_view name) {
    const json::value* value = object_.if_contains(name);
    if (value != nullptr && value->is_int64() && value->get_int64() >= 0) return value->get_int64();
    return blame(name, "a whole number from 0"), 0;
  }
  void blame(std::string_view name, std::string_view expected) {
    if (fault.empty()) fault = fmt::format("'{}' must be {}", name, expected);
  }

  std::string fault;

 private:
  const json::object& object_;
};

Result<KeyRecord> key_from_json(const json::value& value) {
  if (!value.is_object()) return Error{ErrorCode::kCorruptFile, "must be an object"};
  KeyReader reader(value.get_object());
  const auto role = api::find_role(reader.text("role"));
  const std::string digest = reader.text("sha256");
  KeyRecord key{.id = reader.text("id"),
                .name = reader.text("name"),
                .role = role.value_or(api::Role::kViewer),
                .sha256 = Secret(digest),
                .quota = {.pictures = reader.integer("pictures_per_day"),
                          .megapixel_steps = reader.number("megapixel_steps_per_day")},
                .per_minute = reader.number("requests_per_minute"),
                .created = reader.integer("created"),
                .expires = reader.integer("expires"),
                .last_used = reader.integer("last_used"),
                .revoked = reader.integer("revoked")};
  if (!role) reader.blame("role", "viewer, user or admin");
  const bool hexadecimal = digest.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (digest.size() != kDigestDigits || !hexadecimal)
    reader.blame("sha256", "64 lower-case hexadecimal digits");
  if (!reader.fault.empty()) return Error{ErrorCode::kCorruptFile, reader.fault};
  return key;
}

Status write_keys(const fs::path& file, const std::vector<KeyRecord>& keys) {
  std::string text = "{\"version\":1,\"keys\":[";
  for (const KeyRecord& key : keys)
    text += (&key == keys.data() ? "\n" : ",\n") + json::serialize(to_json(key));
  return write_private_file(file, text + "\n]}\n");
}

/// Reads, lets `change` change, and writes, alone.
Status change_keys(const fs::path& file,
                   const std::function<Status(std::vector<KeyRecord>&)>& change) {
  const FileLock lock(file);
  if (!lock.held())
    return Error{ErrorCode::kIo,
                 fmt::format("{}.lock: cannot open it: {}", file.string(), std::strerror(errno))};
  Result<std::vector<KeyRecord>> keys = read_keys(file);
  if (!keys) return keys.error();
  if (Status changed = change(*keys); !changed) return changed;
  return write_keys(file, *keys);
}

Status check_name(const std::string& name) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (!name.empty() && name.size() <= kMostNameBytes && !control && trimmed(name) == name &&
      find_invalid_utf8(name) == std::string::npos)
    return {};
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("a key's name must have 1 to {} bytes of UTF-8 without control "
                           "characters and without spaces at its ends",
                           kMostNameBytes)};
}

}  // namespace

std::string key_digest(std::string_view key) { return sha256(std::as_bytes(std::span(key))); }

Result<std::vector<KeyRecord>> read_keys(const fs::path& file) {
  const Result<std::string> text = read_file(file, kMostFileBytes);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::vector<KeyRecord>();
  if (!text) return text.error();
  const auto corrupt = [&](const std::string& what) {
    return Error{
        ErrorCode::kCorruptFile,
        fmt::format("{}: {}; restore it, or move it away and add keys anew", file.string(), what)};
  };
  const Result<json::value> parsed = parse_json(*text);
  if (!parsed) return corrupt(parsed.error().message);
  const json::object* object = parsed->if_object();
  const json::value* list = object == nullptr ? nullptr : object->if_contains("keys");
  if (list == nullptr || !list->is_array()) return corrupt("has no list 'keys'");
  std::vector<KeyRecord> keys;
  for (const json::value& value : list->get_array()) {
    Result<KeyRecord> key = key_from_json(value);
    if (!key) return corrupt(fmt::format("key {}: {}", keys.size(), key.error().message));
    keys.push_back(std::move(*key));
  }
  return keys;
}

Result<AddedKey> add_key(const fs::path& file, const KeyRecord& wish, int64_t now) {
  if (Status good = check_name(wish.name); !good) return good.error();
  AddedKey added{.key = std::string(kKeyPrefix) + random_token(), .record = wish};
  const std::string digest = key_digest(added.key);
  added.record.id = digest.substr(0, kIdDigits);
  added.record.sha256 = Secret(digest);
  added.record.created = now;
  const Status changed = change_keys(file, [&](std::vector<KeyRecord>& keys) -> Status {
    for (const KeyRecord& key : keys) {
      if (key.name != wish.name || !key.active(now)) continue;
      return Error{ErrorCode::kConflict,
                   fmt::format("key {} has the name '{}' already; revoke it first, or take another "
                               "name",
                               key.id, key.name)};
    }
    keys.push_back(added.record);
    return {};
  });
  if (!changed) return changed.error();
  return added;
}

Result<KeyRecord> revoke_key(const fs::path& file, std::string_view name_or_id, int64_t now) {
  KeyRecord revoked;
  const Status changed = change_keys(file, [&](std::vector<KeyRecord>& keys) -> Status {
    std::vector<std::string_view> names;
    for (KeyRecord& key : keys) {
      if (key.revoked != 0) continue;
      names.insert(names.end(), {key.name, key.id});
      if (key.name != name_or_id && key.id != name_or_id) continue;
      key.revoked = now;
      revoked = key;
    }
    if (!revoked.id.empty()) return {};
    const std::string_view nearest = nearest_name(name_or_id, names);
    return Error{ErrorCode::kNotFound,
                 fmt::format("no key has the name or id '{}'{}", name_or_id,
                             nearest.empty() ? "; see 'safelight keys list'"
                                             : fmt::format("; did you mean '{}'?", nearest))};
  });
  if (!changed) return changed.error();
  return revoked;
}

Status touch_key(const fs::path& file, std::string_view id, int64_t now) {
  return change_keys(file, [&](std::vector<KeyRecord>& keys) -> Status {
    for (KeyRecord& key : keys) {
      if (key.id == id) key.last_used = now;
    }
    return {};
  });
}

}  // namespace safelight::http
