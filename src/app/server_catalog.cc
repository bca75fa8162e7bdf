#include "app/server_catalog.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "app/model_parts.h"
#include "app/network_files.h"
#include "app/prompt_count.h"
#include "base/log.h"
#include "base/random.h"
#include "diffusion/sampler.h"
#include "text/styles.h"
#include "text/wildcard_files.h"
#include "weights/embedding.h"
#include "weights/inspect.h"

namespace safelight::app {
namespace {

constexpr size_t kLeastHash = 8;  ///< digits of a hash that name a model

int64_t changed_at(const std::filesystem::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mtim.tv_sec : 0;
}

bool is_hash(std::string_view text) {
  return text.size() >= kLeastHash &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

ServerCatalog::ServerCatalog(Library library, std::vector<std::string> models_dirs,
                             std::string default_model)
    : library_(std::move(library)),
      prompt_files_(library_.prompt_files),
      models_dirs_(std::move(models_dirs)),
      default_model_(std::move(default_model)) {}

api::ModelInfo ServerCatalog::info(const ModelEntry& entry) {
  return {.name = entry.name,
          .kind = std::string(name_of(entry.kind)),
          .path = entry.path,
          .sha256 = library_.hashes.known(entry.path).value_or(""),
          .size = entry.size,
          .changed = changed_at(entry.path)};
}

std::vector<api::ModelInfo> ServerCatalog::models(const std::string& kind) {
  const std::lock_guard lock(mutex_);
  std::vector<api::ModelInfo> models;
  for (const ModelEntry& entry : library_.catalog.entries()) {
    if (name_of(entry.kind) == kind) models.push_back(info(entry));
  }
  return models;
}

const ModelEntry* ServerCatalog::by_hash(std::string_view hash) {
  for (const ModelEntry& entry : library_.catalog.entries()) {
    if (entry.kind != ModelKind::kCheckpoint) continue;
    const auto known = library_.hashes.known(entry.path);
    if (known && known->starts_with(hash)) return &entry;
  }
  return nullptr;
}

Result<api::ModelInfo> ServerCatalog::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (is_hash(name)) {
    if (const ModelEntry* entry = by_hash(name)) return info(*entry);
  }
  const auto entry = library_.checkpoint(name.empty() ? default_model_ : name);
  if (!entry) return entry.error();
  const auto& entries = library_.catalog.entries();
  const bool listed = std::any_of(entries.begin(), entries.end(), [&](const ModelEntry& known) {
    return known.path == entry->path;
  });
  // The operator may give a path; a client may not look at the server's files.
  if (listed || name.empty()) return info(*entry);
  return Error{ErrorCode::kNotFound,
               fmt::format("there is no checkpoint '{}' in the folders of models", name)};
}

Result<std::string> ServerCatalog::sha256(const api::ModelInfo& model) {
  const std::lock_guard one_at_a_time(hashing_);
  HashCache hashes = [&] {
    const std::lock_guard lock(mutex_);
    return library_.hashes;
  }();
  if (const auto known = hashes.known(model.path)) return *known;
  auto hash = hashes.sha256(model.path);
  const std::lock_guard lock(mutex_);
  library_.hashes = std::move(hashes);
  return hash;
}

void ServerCatalog::refresh() {
  auto reopened = open_library(models_dirs_);
  if (!reopened) {
    spdlog::warn("the list of models was not renewed: {}", reopened.error().message);
    return;
  }
  const std::lock_guard lock(mutex_);
  library_.catalog = std::move(reopened->catalog);
}

std::vector<api::SamplerInfo> ServerCatalog::samplers() const {
  std::vector<api::SamplerInfo> samplers;
  for (const diffusion::SamplerInfo& sampler : diffusion::samplers()) {
    samplers.push_back(
        {std::string(sampler.name), std::string(sampler.aliases), sampler.uses_spacing});
  }
  return samplers;
}

std::vector<api::ScheduleInfo> ServerCatalog::schedules() const {
  std::vector<api::ScheduleInfo> schedules;
  for (const diffusion::SpacingInfo& spacing : diffusion::spacings())
    schedules.push_back({std::string(spacing.name), std::string(spacing.description),
                         std::string(spacing.identifier)});
  return schedules;
}

Status ServerCatalog::check(const request::Request& request) const {
  if (Status good = request::validate(request); !good) return good;
  const auto sampler = diffusion::find_sampler(request.sampler);
  if (!sampler) return sampler.error();
  const auto spacing = diffusion::find_spacing(request.schedule);
  if (!spacing) return spacing.error();
  return {};
}

Result<pipelines::CheckpointFacts> ServerCatalog::facts(const api::ModelInfo& model) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = facts_.find(model.path);
    if (known != facts_.end() && known->second.first == model.changed) return known->second.second;
  }
  const auto facts = pipelines::checkpoint_facts(model.path);
  if (!facts) return facts.error();
  const std::lock_guard lock(mutex_);
  facts_[model.path] = {model.changed, *facts};
  return *facts;
}

Status ServerCatalog::check_parts(const request::Request& request) {
  const std::lock_guard lock(mutex_);
  for (const auto& [part, name] : pipelines::wanted_parts(request)) {
    if (name.empty()) continue;
    const auto entry = library_.catalog.find(name, kind_of(part), library_.hashes);
    if (!entry) return entry.error();
    const auto& entries = library_.catalog.entries();
    const bool listed = std::any_of(entries.begin(), entries.end(), [&](const ModelEntry& known) {
      return known.path == entry->path;
    });
    if (!listed) {
      return Error{ErrorCode::kNotFound, fmt::format("there is no {} '{}' in the folders of models",
                                                     name_of(kind_of(part)), name)};
    }
  }
  return {};
}

Result<request::Request> ServerCatalog::resolve(const request::Request& asked,
                                                api::UnknownNames unknown, api::ModelInfo& model) {
  auto found = find(asked.model);
  if (!found) return found.error();
  model = std::move(*found);
  request::Request request = asked;
  request.model = model.name;
  if (Status done = resolve_prompts(request, prompt_files_, unknown == api::UnknownNames::kIgnore);
      !done) {
    return done.error();
  }
  if (request.subseed < 0) request.subseed = request.subseed_strength > 0 ? random_seed() : 0;
  const auto told = facts(model);
  if (!told) return told.error();
  pipelines::use_recommended(request, told->recommended);
  if (request.width == 0) request.width = told->size.width;
  if (request.height == 0) request.height = told->size.height;
  if (Status found_all = check_parts(request); !found_all) return found_all.error();
  if (!pipelines::is_no_name(request.refiner)) {
    const auto refiner = find(request.refiner);
    if (!refiner) return refiner.error().in("refiner");
    request.refiner = refiner->name;
  }
  if (Status good = check(request); !good) return good.error();
  if (unknown == api::UnknownNames::kIgnore) request.missing_networks = "skip";
  if (Status done = resolve_networks(request); !done) return done.error();
  auto hash = sha256(model);
  if (!hash) return hash.error();
  model.sha256 = std::move(*hash);
  return request;
}

/// Files may be hashed for it, so it works on a copy of the library.
Status ServerCatalog::resolve_networks(request::Request& request) {
  if (request.prompt.find('<') == std::string::npos && request.all_prompts.empty()) {
    request.lora_hashes.clear();
    return {};
  }
  const std::lock_guard one_at_a_time(hashing_);
  Library library = [&] {
    const std::lock_guard lock(mutex_);
    return library_;
  }();
  const Status done = resolve_loras(library, request);
  const std::lock_guard lock(mutex_);
  library_.hashes = std::move(library.hashes);
  return done;
}

std::vector<api::LoraInfo> ServerCatalog::loras() {
  std::vector<api::LoraInfo> loras;
  for (api::ModelInfo& file : models(std::string(name_of(ModelKind::kLora)))) {
    api::LoraInfo lora{.file = std::move(file), .alias = {}, .metadata = {}};
    if (const auto report = weights::inspect(lora.file.path))
      lora.metadata.insert(report->metadata.begin(), report->metadata.end());
    const auto named = lora.metadata.find("ss_output_name");
    lora.alias = named == lora.metadata.end() ? lora.file.name : named->second;
    loras.push_back(std::move(lora));
  }
  return loras;
}

std::vector<api::EmbeddingInfo> ServerCatalog::embeddings(const std::string& model) {
  const auto checkpoint = find(model);
  const int64_t width = checkpoint ? weights::text_width(checkpoint->path) : 0;
  std::vector<api::EmbeddingInfo> embeddings;
  for (api::ModelInfo& file : models(std::string(name_of(ModelKind::kEmbedding)))) {
    api::EmbeddingInfo info{.file = std::move(file)};
    if (const auto embedding = weights::open_embedding(info.file.path)) {
      info.vectors = embedding->count();
      info.width = embedding->width();
      info.step = embedding->step;
      info.checkpoint = embedding->checkpoint;
      info.fits = width == 0 || width == info.width;
    }
    embeddings.push_back(std::move(info));
  }
  return embeddings;
}

std::vector<api::StyleInfo> ServerCatalog::styles() {
  std::vector<api::StyleInfo> styles;
  const auto library = text::StyleLibrary::read(prompt_files_.styles);
  for (const text::Style& style : library.styles())
    styles.push_back({style.name, style.prompt, style.negative_prompt});
  return styles;
}

std::vector<std::string> ServerCatalog::wildcards() {
  return text::WildcardFiles(prompt_files_.wildcards).names();
}

Result<boost::json::object> ServerCatalog::count(const std::string& prompt,
                                                 const std::string& syntax, int64_t steps) const {
  return count_prompt(prompt, {.syntax = syntax, .steps = steps});
}

}  // namespace safelight::app
