#include "pipelines/networks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "text/chunks.h"
#include "text/extra_networks.h"
#include "weights/open_weights.h"

namespace safelight::pipelines {
namespace {

constexpr size_t kMaxAdapters = 64;  ///< kept open; they are mapped, not read
constexpr size_t kHashDigits = 12;   ///< as SD WebUI tells them

/// Path, size and time of last change: what tells a file from what it was.
std::string key_of(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return path.string();
  return fmt::format("{}\n{} {}.{}", path.string(), info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

/// The learned words that the prompts have.
std::vector<std::shared_ptr<const text::LearnedWord>> words_in(
    const std::vector<std::string>& prompts, const text::Vocabulary& words) {
  std::vector<std::shared_ptr<const text::LearnedWord>> found;
  if (words.empty()) return found;
  std::set<std::string> names;
  for (const std::string& prompt : prompts) {
    const auto chunked =
        text::chunk_prompt(text::ClipTokenizer::instance(), text::parse_prompt(prompt), words);
    for (const text::TokenChunk& chunk : chunked.chunks) {
      for (const text::LearnedVectors& each : chunk.learned) {
        if (names.insert(each.word->name).second) found.push_back(each.word);
      }
    }
  }
  return found;
}

/// A name as a list of hashes holds it (SD WebUI drops these as well).
std::string listed_name(std::string_view name) {
  std::string clean(name);
  std::erase_if(clean, [](char c) { return c == ':' || c == ','; });
  return clean;
}

}  // namespace

std::string listed_hash(const std::string& list, std::string_view name) {
  const std::string wanted = listed_name(name);
  std::string_view rest = list;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, end);
    const size_t colon = item.rfind(':');
    if (colon != std::string_view::npos && trimmed(item.substr(0, colon)) == wanted)
      return std::string(trimmed(item.substr(colon + 1)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "";
}

void add_listed_hash(std::string& list, std::string_view name, std::string_view hash) {
  if (hash.empty() || !listed_hash(list, name).empty()) return;
  list += fmt::format("{}{}: {}", list.empty() ? "" : ", ", listed_name(name), hash);
}

request::Request without_tags(request::Request request) {
  for (std::string* prompt : {&request.prompt, &request.negative_prompt})
    *prompt = text::take_network_tags(*prompt).text;
  return request;
}

Result<const NetworkCache::OpenAdapter*> NetworkCache::adapter(const NetworkFile& file) {
  const std::string key = key_of(file.path);
  const auto known = std::find_if(adapters_.begin(), adapters_.end(),
                                  [&](const OpenAdapter& open) { return open.key == key; });
  if (known != adapters_.end()) {
    adapters_.splice(adapters_.begin(), adapters_, known);
    return &adapters_.front();
  }
  auto opened = weights::open_adapter(file.path);
  if (!opened) return opened.error();
  OpenAdapter open{.key = key, .adapter = std::move(*opened), .embeddings = {}};
  if (!open.adapter->embeddings().empty()) {
    const auto index = weights::open_weights(file.path);
    if (!index) return index.error();
    auto embeddings = weights::read_bundled_embeddings(*index);
    if (!embeddings) return embeddings.error().in(file.path.filename().string());
    open.embeddings = std::move(*embeddings);
  }
  adapters_.push_front(std::move(open));
  if (adapters_.size() > kMaxAdapters) adapters_.pop_back();
  return &adapters_.front();
}

void NetworkCache::add_word(const std::string& name, const std::string& hash,
                            const weights::Embedding& embedding, const ModelTraits& traits,
                            Networks& networks) const {
  auto vectors = weights::vectors_for(embedding, traits.text_widths);
  if (!vectors) {
    spdlog::warn("embedding '{}' {}; it is not used", name, vectors.error().message);
    return;
  }
  networks.words.add(std::make_shared<text::LearnedWord>(
      text::LearnedWord{.name = name, .hash = hash, .vectors = std::move(*vectors)}));
}

Status NetworkCache::add_loras(const request::Request& request, const ModelTraits& traits,
                               Networks& networks) {
  const auto tags = text::lora_tags(text::take_network_tags(request.prompt).tags);
  if (!tags) return tags.error();
  for (const text::LoraTag& tag : *tags) {
    const auto file = finder_.lora(tag.name, listed_hash(request.lora_hashes, tag.name));
    if (!file) {
      if (request.missing_networks != "skip" || file.error().code != ErrorCode::kNotFound)
        return file.error();
      spdlog::warn("{}; it is left out", file.error().message);
      networks.missing.push_back(tag.name);
      continue;
    }
    if (tag.rank)
      return Error{ErrorCode::kUnsupported,
                   fmt::format("<lora:{}> has a rank (dyn); all ranks are used here", tag.name)};
    const auto open = adapter(*file);
    if (!open) return open.error();
    networks.adapters.push_back({.adapter = (*open)->adapter,
                                 .unet = tag.unet,
                                 .text = tag.text_encoder,
                                 .block_weights = tag.block_weights});
    add_listed_hash(networks.lora_hashes, tag.name, file->hash);
    for (const auto& [name, embedding] : (*open)->embeddings)
      add_word(name, file->hash + " " + name, embedding, traits, networks);
  }
  return {};
}

void NetworkCache::add_words(const std::vector<std::string>& prompts, const ModelTraits& traits,
                             Networks& networks) {
  std::string all;
  for (const std::string& prompt : prompts) all += text::squeezed(prompt) + "\n";
  const auto is_wanted = [&](const std::string& name) {
    return all.find(text::squeezed(name)) != std::string::npos;
  };
  for (const NetworkFile& file : finder_.embeddings(is_wanted)) {
    const auto embedding = weights::open_embedding(file.path);
    if (embedding) {
      add_word(file.name, file.hash, *embedding, traits, networks);
    } else {
      spdlog::warn("{}; it is not used", embedding.error().message);
    }
  }
}

Result<Networks> NetworkCache::open(const request::Request& request, const ModelTraits& traits) {
  Networks networks;
  const request::Request plain = without_tags(request);
  const std::vector<std::string> prompts{plain.prompt, plain.negative_prompt};
  if (finder_.embeddings) add_words(prompts, traits, networks);
  if (finder_.lora) {
    if (Status added = add_loras(request, traits, networks); !added) return added.error();
  }
  for (const auto& word : words_in(prompts, networks.words))
    add_listed_hash(networks.embedding_hashes, word->name, word->hash.substr(0, kHashDigits));
  return networks;
}

}  // namespace safelight::pipelines
