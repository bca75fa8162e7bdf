#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/latent_model.h"
#include "request/request.h"
#include "text/learned_words.h"
#include "weights/adapter.h"
#include "weights/embedding.h"

namespace safelight::pipelines {

/// A file of a LoRA or a textual inversion, as it was found.
struct NetworkFile {
  std::filesystem::path path;
  std::string name;  ///< that prompts call it by
  std::string hash;  ///< 12 digits: AutoV3 of safetensors LoRAs, else the beginning of SHA-256
};

/// Where the networks lie that prompts ask for.
struct NetworkFinder {
  /// The LoRA of a name, else of the hash beside it, which may be empty. Errors: kNotFound naming
  /// the nearest.
  std::function<Result<NetworkFile>(const std::string& name, const std::string& hash)> lora;
  /// The textual inversions whose names the test takes.
  std::function<std::vector<NetworkFile>(const std::function<bool(const std::string&)>& is_wanted)>
      embeddings;
};

/// What the prompts of a picture ask for besides text.
struct Networks {
  std::vector<weights::AdapterUse> adapters;
  text::Vocabulary words;
  std::string lora_hashes, embedding_hashes;  ///< of what is used, for Request's fields
  std::vector<std::string> missing;           ///< LoRAs that are nowhere, where that is allowed
};

/// Opened files of networks, kept while they do not change. One thread at a time.
class NetworkCache {
 public:
  explicit NetworkCache(NetworkFinder finder) : finder_(std::move(finder)) {}

  /// Opens what a request with one prompt asks for: its LoRAs, and the learned words of both
  /// prompts; tags in the negative one are ignored, as in SD WebUI. A textual inversion that is for
  /// another model is left out, with a warning in the log. Errors: those of text::lora_tags and
  /// open_adapter; kNotFound for a LoRA that is nowhere, unless the request says to skip it.
  Result<Networks> open(const request::Request& request, const ModelTraits& traits);

 private:
  struct OpenAdapter {
    std::string key;
    std::shared_ptr<const weights::Adapter> adapter;
    std::map<std::string, weights::Embedding, std::less<>> embeddings;  ///< that it brings with it
  };

  Result<const OpenAdapter*> adapter(const NetworkFile& file);
  Status add_loras(const request::Request& request, const ModelTraits& traits, Networks& networks);
  void add_words(const std::vector<std::string>& prompts, const ModelTraits& traits,
                 Networks& networks);
  void add_word(const std::string& name, const std::string& hash,
                const weights::Embedding& embedding, const ModelTraits& traits,
                Networks& networks) const;

  NetworkFinder finder_;
  std::list<OpenAdapter> adapters_;  ///< the most recently used first
};

/// The request with the prompts that are drawn: without tags of networks.
request::Request without_tags(request::Request request);

/// "name: hash" lists, as the fields lora_hashes and embedding_hashes have them: the hash of a
/// name, empty where there is none.
std::string listed_hash(const std::string& list, std::string_view name);
void add_listed_hash(std::string& list, std::string_view name, std::string_view hash);

}  // namespace safelight::pipelines
