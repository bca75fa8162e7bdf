#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "api/backend.h"
#include "app/library.h"
#include "pipelines/registry.h"

namespace safelight::app {

/// The library of models as the server's routes see it. Any thread. Clients name models, never
/// paths: what is in no folder of models is not found.
class ServerCatalog : public api::Catalog {
 public:
  /// `models_dirs` as for open_library; `default_model` may be empty.
  ServerCatalog(Library library, std::vector<std::string> models_dirs, std::string default_model);

  std::vector<api::ModelInfo> models(const std::string& kind) override;
  std::vector<api::LoraInfo> loras() override;
  std::vector<api::EmbeddingInfo> embeddings(const std::string& model) override;
  Result<api::ModelInfo> find(const std::string& name) override;
  Result<std::string> sha256(const api::ModelInfo& model) override;
  void refresh() override;
  std::vector<api::SamplerInfo> samplers() const override;
  std::vector<api::ScheduleInfo> schedules() const override;
  Status check(const request::Request& request) const override;
  Result<request::Request> resolve(const request::Request& request, api::UnknownNames unknown,
                                   api::ModelInfo& model) override;
  std::vector<api::StyleInfo> styles() override;
  std::vector<std::string> wildcards() override;
  Result<boost::json::object> count(const std::string& prompt, const std::string& syntax,
                                    int64_t steps) const override;

 private:
  api::ModelInfo info(const ModelEntry& entry);
  const ModelEntry* by_hash(std::string_view hash);
  Result<pipelines::CheckpointFacts> facts(const api::ModelInfo& model);
  /// Finds the other files that the request names. Errors: kNotFound.
  Status check_parts(const request::Request& request);
  Status resolve_networks(request::Request& request);

  std::mutex mutex_;  ///< guards what follows
  Library library_;
  std::map<std::filesystem::path, std::pair<int64_t, pipelines::CheckpointFacts>> facts_;

  std::mutex hashing_;  ///< held while a file is hashed, so that nothing else waits for it
  const PromptFiles prompt_files_;
  const std::vector<std::string> models_dirs_;
  const std::string default_model_;
};

}  // namespace safelight::app
