#include "studio/studio.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "pipelines/registry.h"
#include "pipelines/sampler_plan.h"
#include "pipelines/text_to_image.h"
#include "request/infotext.h"

namespace safelight::studio {
namespace {

using Clock = std::chrono::steady_clock;
using request::Request;

/// The request with nothing left to choose: seeds drawn, the model's own size where none is given,
/// the VAE that was found.
Request resolved(Request request, const ModelFile& file, const pipelines::ModelTraits& traits) {
  for (const pipelines::PartFile& part : file.parts) {
    if (part.part == pipelines::ModelPart::kVae) request.vae = part.name;
  }
  if (pipelines::is_no_name(request.refiner)) request.refiner.clear();
  if (request.seed < 0) request.seed = random_seed();
  if (request.subseed < 0) request.subseed = request.subseed_strength > 0 ? random_seed() : 0;
  if (request.width == 0) request.width = traits.width;
  if (request.height == 0) request.height = traits.height;
  request.model = file.name;
  // Pictures of different prompts have no batch in common.
  if (!request.all_prompts.empty() || !request.all_negative_prompts.empty()) {
    request.batch_count *= request.batch_size;
    request.batch_size = 1;
  }
  return request;
}

/// The request of picture `index` alone.
Request of_picture(Request request, int64_t index) {
  const auto place = static_cast<size_t>(index);
  if (!request.all_prompts.empty()) request.prompt = request.all_prompts[place];
  if (!request.all_negative_prompts.empty())
    request.negative_prompt = request.all_negative_prompts[place];
  request.all_prompts.clear();
  request.all_negative_prompts.clear();
  (request.subseed_strength != 0 ? request.subseed : request.seed) += index;
  request.batch_size = request.batch_count = 1;
  return request;
}

}  // namespace

Studio::Studio(StudioOptions options)
    : options_(std::move(options)),
      models_(
          [this](const ModelFile& file) {
            return pipelines::load_model(*engine_,
                                         {file.path, file.sha256, file.parts, file.prediction});
          },
          0),
      network_cache_(options_.find_networks) {}

Result<std::unique_ptr<Studio>> Studio::make(StudioOptions options) {
  std::unique_ptr<Studio> studio(new Studio(std::move(options)));
  auto engine = engine::make_engine(studio->options_.engine, studio->options_.engine_options);
  if (!engine) return engine.error();
  studio->engine_ = std::move(*engine);
  studio->set_memory(studio->options_.memory_budget, {});
  return studio;
}

/// Without a wish the other half is for pictures being drawn and the rest of the machine.
uint64_t Studio::budget(uint64_t asked) const {
  if (asked > 0) return asked;
  const uint64_t allowed = options_.engine_options.max_memory;
  return (allowed > 0 ? std::min(allowed, engine_->device().memory) : engine_->device().memory) / 2;
}

void Studio::set_memory(uint64_t bytes, std::vector<std::string> pinned) {
  models_.set_budget(budget(bytes));
  models_.set_pinned(std::move(pinned));
  models_.shrink();
}

std::vector<LoadedModel> Studio::models() const {
  std::vector<LoadedModel> models;
  for (const CachedModel& cached : models_.models()) {
    models.push_back(
        {cached.file.name, cached.file.sha256, cached.model->bytes(), models_.pinned(cached.file)});
  }
  return models;
}

Status Studio::load(const std::string& name) {
  Request request;
  request.model = name;
  const auto loaded = model(request, {});
  return loaded ? Status() : loaded.error();
}

Status Studio::unload(const std::string& name) {
  if (name.empty()) {
    models_.clear();
  } else if (!models_.drop(name)) {
    return Error{ErrorCode::kNotFound, fmt::format("model '{}' is not loaded", name)};
  }
  return {};
}

Result<ModelFile> Studio::files_of(const Request& request) const {
  auto file = options_.find_model(request.model);
  if (!file) return file.error();
  file->prediction = request.prediction;
  for (const auto& [part, name] : pipelines::wanted_parts(request)) {
    if (!options_.find_part) break;
    auto found = options_.find_part(part, name, *file);
    if (!found) return found.error();
    if (*found) file->parts.push_back(std::move(**found));
  }
  return file;
}

Result<ModelFile> Studio::refiner_files_of(const Request& request) const {
  Request refiner;
  refiner.model = request.refiner;
  auto files = files_of(refiner);
  if (!files) return files.error().in("refiner");
  return files;
}

Status Studio::prepare_tiny_decoder(CachedModel& model, const Request& request,
                                    const RunOptions& options) {
  const bool decodes = request.vae_decoder == "taesd";
  if (model.tiny_decoder || (!decodes && !options.preview)) return {};
  const std::string_view name = model.model->traits().tiny_decoder;
  const auto path = options_.find_tiny_decoder ? options_.find_tiny_decoder(name) : std::nullopt;
  if (!path && decodes) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("vae_decoder is taesd, and there is no {}_decoder.safetensors in the "
                             "folders VAE-approx of the models; get it, or leave vae_decoder out",
                             name)};
  }
  if (!path) return {};
  auto loaded = pipelines::load_taesd(*engine_, *path);
  if (loaded) {
    model.tiny_decoder = std::move(*loaded);
    return {};
  }
  if (decodes) return loaded.error();
  spdlog::warn("no previews with it: {}", loaded.error().message);
  return {};
}

Result<CachedModel*> Studio::model(const Request& request, const std::string& sha256) {
  const auto file = files_of(request);
  if (!file) return file.error();
  if (!sha256.empty() && file->sha256 != sha256) {
    return Error{ErrorCode::kConflict,
                 fmt::format("model '{}' has SHA-256 {}; the request is for {}. It was replaced "
                             "since, or is another file here",
                             file->name, file->sha256, sha256)};
  }
  return models_.get(*file);
}

/// Of each batch; one for all where their prompts are the same.
Result<std::vector<pipelines::Networks>> Studio::networks(const Request& request,
                                                          const pipelines::ModelTraits& traits) {
  std::vector<pipelines::Networks> networks;
  const bool differ = !request.all_prompts.empty() || !request.all_negative_prompts.empty();
  for (int64_t batch = 0; batch < (differ ? request.batch_count : 1); ++batch) {
    auto opened = network_cache_.open(of_picture(request, batch * request.batch_size), traits);
    if (!opened) return opened.error();
    networks.push_back(std::move(*opened));
  }
  return networks;
}

Picture Studio::picture(const Request& request, const ModelFile& file,
                        const pipelines::Networks& networks, image::ReleasedImage image) const {
  request::ExtraParameters extra;
  for (const pipelines::PartFile& part : file.parts) {
    if (part.part == pipelines::ModelPart::kVae && !part.sha256.empty())
      extra.emplace_back("VAE hash", part.sha256.substr(0, 10));
  }
  if (!networks.missing.empty())
    extra.emplace_back("Networks not found", fmt::format("{}", fmt::join(networks.missing, ", ")));
  if (image.policy() != "off") extra.emplace_back("Guard", image.policy());
  // A seed that does not matter is not told.
  Request told = request;
  if (told.subseed_strength == 0) told.subseed = Request{}.subseed;
  told.lora_hashes = networks.lora_hashes;
  told.embedding_hashes = networks.embedding_hashes;
  told.missing_networks = Request{}.missing_networks;
  std::string text = request::to_infotext(told, file.hash, options_.version, extra);
  return {std::move(image), std::move(told), std::move(text), file};
}

Result<std::vector<image::UncheckedImage>> Studio::draw(const ModelFile& file,
                                                        const Request& request, int64_t batch,
                                                        const pipelines::Networks& networks,
                                                        const RunOptions& options) {
  const auto loaded = models_.get(file);
  if (!loaded) return loaded.error();
  CachedModel& model = **loaded;
  if (Status ready = prepare_tiny_decoder(model, request, options); !ready) return ready.error();
  if (Status set = model.model->set_adapters(networks.adapters); !set) return set.error();
  pipelines::BatchOptions how{.stop = options.stop,
                              .conditionings = &conditionings_,
                              .model_id = file.identity(),
                              .words = networks.words,
                              .preview = options.preview ? model.preview : nullptr,
                              .tiny_decoder = model.tiny_decoder,
                              .preview_due = options.preview_due};
  if (options.progress) {
    how.listener = [&](int64_t step, int64_t steps) {
      options.progress({batch, request.batch_count, step, steps});
    };
  }
  if (options.early_end) {
    how.ends_early = [&] { return options.early_end->run || options.early_end->batch; };
  }
  if (!request.refiner.empty()) {
    how.load_refiner = [&]() -> Result<pipelines::RefinerModel> {
      const auto files = refiner_files_of(request);
      if (!files) return files.error();
      const auto refiner = models_.get(*files);
      if (!refiner) return refiner.error();
      // LoRAs are for the base; words are taught to each text encoder.
      if (Status set = (*refiner)->model->set_adapters({}); !set) return set.error();
      auto taught = network_cache_.open(of_picture(request, batch * request.batch_size),
                                        (*refiner)->model->traits());
      if (!taught) return taught.error();
      return pipelines::RefinerModel{.model = (*refiner)->model.get(),
                                     .model_id = files->identity(),
                                     .words = std::move(taught->words)};
    };
  }
  how.deliver_preview = [&](image::UncheckedImage image) {
    // What may not be seen is not shown; the finished picture tells why.
    if (const auto released = guard_.release(std::move(image))) options.preview(*released);
  };
  const Request drawn = of_picture(request, batch * request.batch_size);
  return pipelines::text_to_image(*model.model, pipelines::without_tags(drawn), request.batch_size,
                                  how);
}

Status Studio::run_batch(const ModelFile& file, const Request& request, int64_t batch,
                         const pipelines::Networks& networks, const RunOptions& options) {
  auto drawn = draw(file, request, batch, networks, options);
  // Other models give way to the one that is needed now.
  while (!drawn && drawn.error().code == ErrorCode::kOutOfMemory && models_.drop_one())
    drawn = draw(file, request, batch, networks, options);
  if (!drawn) return drawn.error();
  for (int64_t i = 0; i < request.batch_size; ++i) {
    auto released = guard_.release(std::move((*drawn)[static_cast<size_t>(i)]));
    if (!released) return released.error();
    const Status delivered = options.deliver(picture(
        of_picture(request, batch * request.batch_size + i), file, networks, std::move(*released)));
    if (!delivered) return delivered;
  }
  return {};
}

Status Studio::run(const Request& asked, const RunOptions& options) {
  const auto begin = Clock::now();
  if (Status good = request::validate(asked); !good) return good;
  const auto loaded = model(asked, options.model_sha256);
  if (!loaded) return loaded.error();
  CachedModel& model = **loaded;
  const ModelFile file = model.file;
  Request request = asked;
  const pipelines::Recommended& recommended = model.model->traits().recommended;
  const std::string used =
      options.recommends ? pipelines::use_recommended(request, recommended) : "";
  if (!used.empty() && options.note)
    options.note(fmt::format("{} is a {} model: {}", file.name, recommended.reason, used));
  request = resolved(request, file, model.model->traits());
  if (Status good = request::validate(request); !good) return good;
  if (Status good = pipelines::check_request(request, model.model->traits()); !good) return good;
  pipelines::use_listed_names(request);
  if (Status ready = prepare_tiny_decoder(model, request, options); !ready) return ready;
  if (!request.refiner.empty()) {
    const auto refiner = refiner_files_of(request);
    if (!refiner) return refiner.error();
    request.refiner = refiner->name + (refiner->hash.empty() ? "" : " [" + refiner->hash + "]");
  }
  const auto networks = this->networks(request, model.model->traits());
  if (!networks) return networks.error();
  if (options.started) options.started(std::chrono::duration<double>(Clock::now() - begin).count());
  Status done;
  for (int64_t batch = 0; batch < request.batch_count && done; ++batch) {
    const size_t place = networks->size() == 1 ? 0 : static_cast<size_t>(batch);
    done = run_batch(file, request, batch, (*networks)[place], options);
    if (!options.early_end) continue;
    options.early_end->batch = false;
    if (done && options.early_end->run) {
      done =
          Error{ErrorCode::kCancelled, "interrupted; the picture is kept as far as it was drawn"};
    }
  }
  models_.shrink();
  return done;
}

}  // namespace safelight::studio
