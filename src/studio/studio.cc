#include "studio/studio.h"

#include "base/random.h"
#include "pipelines/registry.h"
#include "pipelines/text_to_image.h"
#include "request/infotext.h"

namespace safelight::studio {
namespace {

using request::Request;

/// The request with nothing left to choose: seeds drawn, the model's own size where none is given.
Request resolved(Request request, const ModelFile& file, const pipelines::ModelTraits& traits) {
  if (request.seed < 0) request.seed = random_seed();
  if (request.subseed < 0) request.subseed = request.subseed_strength > 0 ? random_seed() : 0;
  if (request.width == 0) request.width = traits.width;
  if (request.height == 0) request.height = traits.height;
  request.model = file.name;
  return request;
}

/// The request of picture `index` alone.
Request of_picture(Request request, int64_t index) {
  (request.subseed_strength != 0 ? request.subseed : request.seed) += index;
  request.batch_size = request.batch_count = 1;
  return request;
}

}  // namespace

Result<std::unique_ptr<Studio>> Studio::make(StudioOptions options) {
  std::unique_ptr<Studio> studio(new Studio(std::move(options)));
  auto engine = engine::make_engine(studio->options_.engine, studio->options_.engine_options);
  if (!engine) return engine.error();
  studio->engine_ = std::move(*engine);
  return studio;
}

Result<pipelines::LatentModel*> Studio::model(const ModelFile& file) {
  if (loaded_ && loaded_path_ == file.path) return loaded_.get();
  loaded_.reset();
  auto model = pipelines::load_model(*engine_, file.path, file.sha256);
  if (!model) return model.error();
  loaded_ = std::move(*model);
  loaded_path_ = file.path;
  return loaded_.get();
}

Picture Studio::picture(const Request& request, const ModelFile& file,
                        image::ReleasedImage image) const {
  request::ExtraParameters extra;
  if (image.policy() != "off") extra.emplace_back("Guard", image.policy());
  // A seed that does not matter is not told.
  Request told = request;
  if (told.subseed_strength == 0) told.subseed = Request{}.subseed;
  std::string text = request::to_infotext(told, file.hash, options_.version, extra);
  return {std::move(image), std::move(told), std::move(text), file};
}

Status Studio::run(const Request& asked, const RunOptions& options) {
  if (Status good = request::validate(asked); !good) return good;
  const auto file = options_.find_model(asked.model);
  if (!file) return file.error();
  const auto loaded = model(*file);
  if (!loaded) return loaded.error();
  const Request request = resolved(asked, *file, (*loaded)->traits());
  if (Status good = request::validate(request); !good) return good;
  if (Status good = pipelines::check_request(request, (*loaded)->traits()); !good) return good;
  for (int64_t batch = 0; batch < request.batch_count; ++batch) {
    const int64_t first = batch * request.batch_size;
    const auto listener = [&](int64_t step, int64_t steps) {
      if (options.progress) options.progress({batch, request.batch_count, step, steps});
    };
    auto drawn = pipelines::text_to_image(**loaded, of_picture(request, first), request.batch_size,
                                          listener, options.stop);
    if (!drawn) return drawn.error();
    for (int64_t i = 0; i < request.batch_size; ++i) {
      auto released = guard_.release(std::move((*drawn)[static_cast<size_t>(i)]));
      if (!released) return released.error();
      const Status delivered =
          options.deliver(picture(of_picture(request, first + i), *file, std::move(*released)));
      if (!delivered) return delivered;
    }
  }
  return {};
}

}  // namespace safelight::studio
