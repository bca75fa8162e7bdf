#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/principal.h"
#include "jobs/dispatcher.h"
#include "jobs/service.h"
#include "request/request.h"

namespace safelight::api {

/// A checkpoint, VAE or adapter file as lists show it.
struct ModelInfo {
  std::string name;  ///< file name without its ending
  std::string kind;  ///< "checkpoint", "vae", "lora", "embedding", ...
  std::filesystem::path path;
  std::string sha256;  ///< empty when not known yet
  uint64_t size = 0;
  int64_t changed = 0;  ///< seconds since the epoch

  /// "name.safetensors [0123456789]" as SD WebUI shows it; without a hash the file's name.
  std::string title() const;
};

/// A LoRA, as lists show it.
struct LoraInfo {
  ModelInfo file;
  std::string alias;  ///< what its training called it, else the file's name
  std::map<std::string, std::string, std::less<>> metadata;
};

/// A textual inversion, as lists show it.
struct EmbeddingInfo {
  ModelInfo file;
  int64_t vectors = 0, width = 0;  ///< 0 where the file cannot be read
  std::optional<int64_t> step;     ///< of its training
  std::string checkpoint;          ///< that it was trained on, where told
  bool fits = false;               ///< the model that was asked about
};

struct SamplerInfo {
  std::string name, aliases;  ///< aliases separated by ", "
  bool uses_spacing = true;
};

struct ScheduleInfo {
  std::string name, label;
  std::string identifier;  ///< as SD WebUI's API calls it: "sgm_uniform"
};

struct StyleInfo {
  std::string name, prompt, negative_prompt;
};

/// What becomes of names of styles and wildcards that there are not.
enum class UnknownNames {
  kRefuse,
  kIgnore,  ///< styles have no effect, wildcards stay in the text: as in SD WebUI
};

/// What the server knows of files and names. Calls may read folders but no model file, unless said.
class Catalog {
 public:
  virtual ~Catalog() = default;
  virtual std::vector<ModelInfo> models(const std::string& kind) = 0;
  /// All LoRAs. Reads the heads of their files.
  virtual std::vector<LoraInfo> loras() = 0;
  /// All textual inversions, and which the model takes. Reads their files.
  virtual std::vector<EmbeddingInfo> embeddings(const std::string& model) = 0;
  /// The checkpoint that the name, title or short hash means, empty for the default. Errors:
  /// kNotFound naming the nearest.
  virtual Result<ModelInfo> find(const std::string& name) = 0;
  /// Its SHA-256; reads the whole file the first time.
  virtual Result<std::string> sha256(const ModelInfo& model) = 0;
  virtual void refresh() = 0;
  virtual std::vector<SamplerInfo> samplers() const = 0;
  virtual std::vector<ScheduleInfo> schedules() const = 0;
  /// Checks sampler and schedule names and what else of a request is known without its model.
  virtual Status check(const request::Request& request) const = 0;
  /// Makes every choice: seeds drawn, model's name, own size (read from the file's head), styles
  /// and wildcards in the prompts (read from their files). Errors: those of check(), kNotFound,
  /// those of the files.
  virtual Result<request::Request> resolve(const request::Request& request, UnknownNames unknown,
                                           ModelInfo& model) = 0;
  virtual std::vector<StyleInfo> styles() = 0;
  virtual std::vector<std::string> wildcards() = 0;
  /// The tokens of a prompt, and how it is read (app/prompt_count.h). Errors: kInvalidArgument.
  virtual Result<boost::json::object> count(const std::string& prompt, const std::string& syntax,
                                            int64_t steps) const = 0;
};

/// Workers of this server, for model and memory calls. The vector is empty on a front whose workers
/// are all elsewhere.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual std::vector<jobs::WorkerStatus> status() const = 0;
  virtual Status load(const std::string& model) = 0;
  virtual Status unload(const std::string& model) = 0;
  virtual bool skip(const std::string& job) = 0;
  virtual void watch_previews(const std::string& job, bool wanted) = 0;
};

/// What an administrator set, with the defaults of requests: SD WebUI's "options".
class Options;

/// Facts of this server that some answers tell.
struct ServerFacts {
  std::string version;  ///< "Safelight 0.1.0"
  int64_t started = 0;  ///< jobs::Time
  std::filesystem::path data_dir, output_dir;
  std::vector<std::pair<std::string, std::string>> flags;  ///< as given, secrets left out
};

/// What one submission may not pass.
struct Limits {
  int64_t max_queue = 100'000;  ///< jobs that wait
  int64_t job_timeout_ms = 0;   ///< of one attempt where the client names none; 0 for none
};

/// All that routes answer from. Borrowed; outlives the server.
struct Backend {
  jobs::Service& jobs;
  Catalog& catalog;
  Workers& workers;
  Options& options;
  ServerFacts facts;
  Limits limits;
  /// For server restart and shutdown calls of an admin.
  std::function<void()> shut_down;
  std::string signing_key;   ///< for URLs that expire; of this server, at random, kept
  std::mutex counting = {};  ///< held while the job of somebody with a quota is accepted
};

}  // namespace safelight::api
