#include "guard/image_classifier.h"

#include <algorithm>
#include <cmath>

#include "models/mobilenet_v2/mobilenet_v2.h"
#include "weights/open_weights.h"

namespace safelight::guard {
namespace {

/// Channel c of a pixel in [0, 1], on white.
float level(const image::Image& image, int64_t x, int64_t y, int64_t c) {
  const auto channels = static_cast<int64_t>(image.channels);
  const uint8_t* pixel = image.pixels.data() + (y * image.width + x) * channels;
  const float value = static_cast<float>(pixel[channels >= 3 ? c : 0]) / 255.0F;
  if (channels != 4) return value;
  const float alpha = static_cast<float>(pixel[3]) / 255.0F;
  return value * alpha + (1 - alpha);
}

/// Where row or column i of `size` lies among `from`.
struct Place {
  int64_t low, high;
  float share;  ///< of high
};

Place place(int64_t i, int64_t size, int64_t from) {
  const float at =
      static_cast<float>(i) * (static_cast<float>(from - 1) / static_cast<float>(size - 1));
  const float low = std::floor(at);
  return {static_cast<int64_t>(low), std::min(from - 1, static_cast<int64_t>(std::ceil(at))),
          at - low};
}

}  // namespace

Tensor classifier_input(const image::Image& image, int64_t size) {
  Tensor pixels({1, 3, size, size});
  for (int64_t y = 0; y < size; ++y) {
    const Place row = place(y, size, image.height);
    for (int64_t x = 0; x < size; ++x) {
      const Place column = place(x, size, image.width);
      for (int64_t c = 0; c < 3; ++c) {
        const auto between = [&](int64_t at) {
          const float left = level(image, column.low, at, c);
          return left + (level(image, column.high, at, c) - left) * column.share;
        };
        const float top = between(row.low), bottom = between(row.high);
        pixels.begin()[(c * size + y) * size + x] = top + (bottom - top) * row.share;
      }
    }
  }
  return pixels;
}

Result<std::unique_ptr<ImageClassifier>> ImageClassifier::load(engine::Engine& engine,
                                                               const std::filesystem::path& file) {
  const auto index = weights::open_weights(file);
  if (!index) return index.error();
  const models::mobilenet_v2::Config config;
  models::mobilenet_v2::MobileNetV2 network(config);
  auto bound = weights::bind(
      nn::name_params(network, ""), *index, [](const std::string& name) { return name; },
      "the image classifier");
  if (!bound) return bound.error();
  graph::Graph graph;
  const graph::Value pixels =
      graph.input("pixels", {1, 3, config.size, config.size}, graph::Numerics::kF32);
  graph.output("scores", network(graph, pixels));
  auto executable = engine.compile(graph, engine.load(std::move(*bound)));
  if (!executable) return executable.error();
  return std::unique_ptr<ImageClassifier>(new ImageClassifier(std::move(*executable)));
}

Result<ImageScores> ImageClassifier::classify(const image::Image& image,
                                              const engine::StopFlag* stop) {
  if (image.width < 1 || image.height < 1)
    return Error{ErrorCode::kInvalidArgument, "an image without pixels cannot be classified"};
  executable_->set_input(0, classifier_input(image, models::mobilenet_v2::Config().size));
  if (Status done = executable_->run(stop); !done) return done.error();
  const Tensor scores = executable_->output(0);
  double total = 0;
  for (const float score : scores.data) total += score;
  // What is not a number is not near 1 either.
  if (!(std::abs(total - 1) < 0.01))
    return Error{ErrorCode::kInternal, "the image classifier gave no probabilities"};
  const std::vector<float>& s = scores.data;
  return ImageScores{.drawing = s[0], .hentai = s[1], .neutral = s[2], .porn = s[3], .sexy = s[4]};
}

}  // namespace safelight::guard
