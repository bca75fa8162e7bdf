#include "app/network_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "text/extra_networks.h"
#include "weights/inspect.h"

namespace safelight::app {
namespace {

constexpr size_t kShownDigits = 12, kLeastDigits = 8;

bool is_hash(std::string_view text) {
  return text.size() >= kLeastDigits &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

const ModelEntry* by_hash(const Library& library, std::string_view hash) {
  if (!is_hash(hash)) return nullptr;
  for (const ModelEntry& entry : library.catalog.entries()) {
    if (entry.kind == ModelKind::kLora && library.hashes.is_known_as(entry.path, hash))
      return &entry;
  }
  return nullptr;
}

const ModelEntry* by_alias(const Library& library, const std::string& name) {
  for (const ModelEntry& entry : library.catalog.entries()) {
    if (entry.kind == ModelKind::kLora && alias_of(entry) == name) return &entry;
  }
  return nullptr;
}

Result<pipelines::NetworkFile> with_hash(Library& library, const ModelEntry& entry) {
  const auto hashes = library.hashes.all(entry.path);
  if (!hashes) return hashes.error();
  const std::string& hash = hashes->autov3.empty() ? hashes->sha256 : hashes->autov3;
  return pipelines::NetworkFile{entry.path, entry.name, hash.substr(0, kShownDigits)};
}

}  // namespace

std::optional<std::string> alias_of(const ModelEntry& entry) {
  const auto report = weights::inspect(entry.path);
  if (!report) return std::nullopt;
  const auto name = report->metadata.find("ss_output_name");
  if (name == report->metadata.end() || name->second.empty()) return std::nullopt;
  return name->second;
}

Result<pipelines::NetworkFile> find_lora(Library& library, const std::string& name,
                                         const std::string& hash) {
  const auto named = library.catalog.find_listed(name, ModelKind::kLora);
  if (named) return with_hash(library, *named);
  for (const ModelEntry* entry :
       {by_hash(library, hash), by_hash(library, name), by_alias(library, name)}) {
    if (entry != nullptr) return with_hash(library, *entry);
  }
  return named.error();
}

std::vector<pipelines::NetworkFile> find_embeddings(
    Library& library, const std::function<bool(const std::string&)>& is_wanted) {
  std::vector<pipelines::NetworkFile> files;
  for (const ModelEntry& entry : library.catalog.entries()) {
    if (entry.kind != ModelKind::kEmbedding || !is_wanted(entry.name)) continue;
    const auto hash = library.hashes.sha256(entry.path);
    if (hash) {
      files.push_back({entry.path, entry.name, hash->substr(0, kShownDigits)});
    } else {
      spdlog::warn("{}; it is not used", hash.error().message);
    }
  }
  return files;
}

pipelines::NetworkFinder network_finder(Library& library) {
  return {.lora = [&library](const std::string& name,
                             const std::string& hash) { return find_lora(library, name, hash); },
          .embeddings =
              [&library](const auto& is_wanted) { return find_embeddings(library, is_wanted); }};
}

Status resolve_loras(Library& library, request::Request& request) {
  std::vector<std::string> prompts{request.prompt};
  prompts.insert(prompts.end(), request.all_prompts.begin(), request.all_prompts.end());
  std::string hashes;
  for (const std::string& prompt : prompts) {
    const auto tags = text::lora_tags(text::take_network_tags(prompt).tags);
    if (!tags) return tags.error();
    for (const text::LoraTag& tag : *tags) {
      const auto file =
          find_lora(library, tag.name, pipelines::listed_hash(request.lora_hashes, tag.name));
      if (file) {
        pipelines::add_listed_hash(hashes, tag.name, file->hash);
      } else if (request.missing_networks != "skip" || file.error().code != ErrorCode::kNotFound) {
        return file.error();
      }
    }
  }
  request.lora_hashes = hashes;
  return {};
}

}  // namespace safelight::app
