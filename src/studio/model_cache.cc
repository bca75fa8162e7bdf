#include "studio/model_cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace safelight::studio {
namespace fs = std::filesystem;
namespace {

bool is_named(const ModelFile& file, const std::string& name) {
  return file.name == name || (!name.empty() && file.sha256 == name);
}

uint64_t size_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    const auto size = fs::file_size(path, ignored);
    return ignored ? 0 : size;
  }
  uint64_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path, ignored)) {
    const fs::path ending = entry.path().extension();
    if (ending == ".safetensors" || ending == ".bin") total += size_of(entry.path());
  }
  return total;
}

}  // namespace

std::string ModelFile::identity() const {
  std::string text = sha256.empty() ? path.string() : sha256;
  for (const pipelines::PartFile& part : parts)
    text += "+" + (part.sha256.empty() ? part.path.string() : part.sha256);
  return text;
}

bool ModelCache::pinned(const ModelFile& file) const {
  return std::any_of(pinned_.begin(), pinned_.end(),
                     [&](const std::string& name) { return is_named(file, name); });
}

uint64_t ModelCache::bytes() const {
  uint64_t total = 0;
  for (const CachedModel& cached : models_) total += cached.model->bytes();
  return total;
}

/// As it was when last loaded; else the file's size, since weights keep their 16 bits mostly.
uint64_t ModelCache::expected_bytes(const ModelFile& file) const {
  const auto known = known_bytes_.find(file.path);
  if (known != known_bytes_.end()) return known->second;
  uint64_t total = size_of(file.path);
  for (const pipelines::PartFile& part : file.parts) total += size_of(part.path);
  return total;
}

bool ModelCache::drop_one() {
  for (auto it = models_.rbegin(); it != models_.rend(); ++it) {
    const auto last = std::prev(it.base());
    if (last == models_.begin()) break;
    if (pinned(last->file)) continue;
    known_bytes_[last->file.path] = last->model->bytes();
    models_.erase(last);
    return true;
  }
  return false;
}

void ModelCache::shrink() {
  while (budget_ > 0 && bytes() > budget_ && drop_one()) {
  }
}

bool ModelCache::drop(const std::string& model) {
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const CachedModel& cached) {
    return is_named(cached.file, model);
  });
  if (found == models_.end()) return false;
  known_bytes_[found->file.path] = found->model->bytes();
  models_.erase(found);
  return true;
}

Result<CachedModel*> ModelCache::get(const ModelFile& file) {
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const CachedModel& cached) {
    return cached.file.same_as(file);
  });
  if (found != models_.end()) {
    models_.splice(models_.begin(), models_, found);
    return &models_.front();
  }
  const uint64_t needed = expected_bytes(file);
  while (budget_ > 0 && !models_.empty() && bytes() + needed > budget_) {
    if (drop_one()) continue;
    // The most recently used may go as well: another one comes.
    if (!pinned(models_.front().file)) {
      known_bytes_[models_.front().file.path] = models_.front().model->bytes();
      models_.pop_front();
      continue;
    }
    return Error{ErrorCode::kOutOfMemory,
                 fmt::format("{} needs about {} MiB, but pinned models hold {} of the {} MiB for "
                             "models; allow more, or pin fewer",
                             file.name, needed >> 20, bytes() >> 20, budget_ >> 20)};
  }
  auto model = loader_(file);
  if (!model) return model.error();
  models_.push_front({.file = file, .model = std::move(*model)});
  return &models_.front();
}

}  // namespace safelight::studio
