#include "app/hash_cache.h"

#include <sys/stat.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "weights/hashes.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

/// Size and time of last change of a regular file.
struct FileState {
  uint64_t size = 0;
  int64_t changed = 0;
};

std::optional<FileState> state_of(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  constexpr int64_t kNanoseconds = 1'000'000'000;
  return FileState{static_cast<uint64_t>(info.st_size),
                   info.st_mtim.tv_sec * kNanoseconds + info.st_mtim.tv_nsec};
}

std::string key_of(const fs::path& model) {
  std::error_code ignored;
  return fs::weakly_canonical(model, ignored).string();
}

}  // namespace

HashCache::HashCache(fs::path file) : file_(std::move(file)) { read(); }

void HashCache::read() {
  const Result<std::string> text = read_file(file_);
  if (!text) return;
  const Result<json::value> parsed = parse_json(*text);
  if (!parsed || !parsed->is_object()) return;
  for (const auto& [path, value] : parsed->get_object()) {
    const json::object* object = value.if_object();
    if (object == nullptr) continue;
    const json::value* size = object->if_contains("size");
    const json::value* changed = object->if_contains("changed");
    const json::value* sha256 = object->if_contains("sha256");
    if (!size || !size->is_int64() || !changed || !changed->is_int64()) continue;
    if (!sha256 || !sha256->is_string()) continue;
    const json::value* autov3 = object->if_contains("autov3");
    const bool has_autov3 = autov3 != nullptr && autov3->is_string();
    entries_[path] = {static_cast<uint64_t>(size->get_int64()), changed->get_int64(),
                      std::string(sha256->get_string()),
                      has_autov3 ? std::string(autov3->get_string()) : std::string()};
  }
}

void HashCache::save() const {
  json::object object;
  for (const auto& [path, entry] : entries_) {
    object[path] = {{"size", static_cast<int64_t>(entry.size)},
                    {"changed", entry.changed},
                    {"sha256", entry.sha256}};
    if (!entry.autov3.empty()) object[path].as_object()["autov3"] = entry.autov3;
  }
  const Status written = write_file_atomically(file_, json::serialize(object) + "\n");
  if (!written) spdlog::warn("hashes are not kept: {}", written.error().message);
}

std::optional<std::string> HashCache::known(const fs::path& model) const {
  const auto state = state_of(model);
  const auto found = entries_.find(key_of(model));
  if (!state || found == entries_.end()) return std::nullopt;
  if (found->second.size != state->size || found->second.changed != state->changed)
    return std::nullopt;
  return found->second.sha256;
}

bool HashCache::is_known_as(const fs::path& model, std::string_view beginning) const {
  const std::string wanted = ascii_lower(beginning);
  const auto hash = known(model);
  if (!hash || wanted.empty()) return false;
  const std::string& autov3 = entries_.find(key_of(model))->second.autov3;
  return hash->starts_with(wanted) || autov3.starts_with(wanted);
}

Result<std::string> HashCache::sha256(const fs::path& model) {
  if (auto hash = known(model)) return *hash;
  const auto state = state_of(model);
  if (!state) return std::string();
  Result<std::string> hash = sha256_file(model);
  if (!hash) return hash;
  read();  // Another process may have added to the file meanwhile.
  entries_[key_of(model)] = {state->size, state->changed, *hash, ""};
  save();
  return hash;
}

Result<ModelHashes> HashCache::all(const fs::path& model) {
  const auto state = state_of(model);
  if (!state) return ModelHashes{};
  const auto sha256 = known(model);
  const std::string autov3 = sha256 ? entries_[key_of(model)].autov3 : "";
  const Result<bool> has_autov3 = weights::has_tensor_hash(model);
  if (!has_autov3) return has_autov3.error();
  if (!sha256 || (*has_autov3 && autov3.empty())) return compute(model);
  const Result<std::string> older = weights::webui_short_hash(model);
  if (!older) return older.error();
  return ModelHashes{.sha256 = *sha256, .autov3 = autov3, .older = *older};
}

Result<ModelHashes> HashCache::compute(const fs::path& model) {
  const auto state = state_of(model);
  if (!state) return ModelHashes{};
  const Result<std::string> sha256 = sha256_file(model);
  if (!sha256) return sha256.error();
  const Result<std::string> autov3 = weights::tensor_hash(model);
  if (!autov3) return autov3.error();
  const Result<std::string> older = weights::webui_short_hash(model);
  if (!older) return older.error();
  read();  // Another process may have added to the file meanwhile.
  entries_[key_of(model)] = {state->size, state->changed, *sha256, *autov3};
  save();
  return ModelHashes{.sha256 = *sha256, .autov3 = *autov3, .older = *older};
}

}  // namespace safelight::app
