// What a way to do less work gains and how far its pictures are from the exact ones: draws the same
// pictures with a request as it is and with some of its fields changed, or under a memory budget.
//   bench_less_work MODEL [options] [field=value ...]
// prints for both the median seconds a picture, and the PSNR of latents and pictures between them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <random>

#include "base/log.h"
#include "base/text.h"
#include "pipelines/registry.h"
#include "pipelines/text_to_image.h"
#include "request/request.h"

namespace safelight {
namespace {

using Clock = std::chrono::steady_clock;

// Things that the shipped model knows, so that its pictures have shapes.
constexpr std::string_view kPrompts[] = {"cat face", "red apple",   "smiling sun", "blue car",
                                         "tree",     "pizza slice", "rocket",      "green frog"};

struct Options {
  std::string model, precision = "auto", max_memory;
  std::vector<std::string> fields;
  int64_t width = 0, height = 0, steps = 20, pictures = 4;
  int threads = 0;
  bool decode = false, noise = false, alone = false;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

/// The program ends with the message of a result that failed.
template <class T>
T expect(Result<T> result) {
  if (result) return std::move(*result);
  std::cerr << result.error().message << "\n";
  std::exit(1);
}

/// A model that keeps what it decodes.
class Recorder : public pipelines::LatentModel {
 public:
  Recorder(const Options& options, uint64_t max_memory) {
    engine_ = expect(
        engine::make_engine("auto", {.precision = expect(engine::find_precision(options.precision)),
                                     .threads = options.threads,
                                     .max_memory = max_memory}));
    model_ = expect(pipelines::load_model(*engine_, options.model));
  }

  Tensor latents, pictures;
  double decode_seconds = 0;

  const pipelines::ModelTraits& traits() const override { return model_->traits(); }
  void set_traits(pipelines::ModelTraits traits) override { model_->set_traits(std::move(traits)); }
  Result<pipelines::Conditioning> encode(const std::vector<text::TokenChunk>& chunks,
                                         const pipelines::EncodeOptions& options,
                                         const engine::StopFlag* stop) override {
    return model_->encode(chunks, options, stop);
  }
  Result<std::unique_ptr<pipelines::Predictor>> predictor(
      const std::vector<const pipelines::Conditioning*>& conditionings, int64_t height,
      int64_t width, const pipelines::PassOptions& options, const engine::StopFlag* stop) override {
    return model_->predictor(conditionings, height, width, options, stop);
  }
  Result<Tensor> decode(const Tensor& z, const engine::StopFlag* stop) override {
    latents = z;
    const auto begin = Clock::now();
    auto decoded = model_->decode(z, stop);
    decode_seconds = seconds_since(begin);
    if (decoded) pictures = *decoded;
    return decoded;
  }
  uint64_t bytes() const override { return model_->bytes(); }

 private:
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<pipelines::LatentModel> model_;
};

/// Of values in a range that is `peak` wide.
double psnr(const Tensor& got, const Tensor& want, double peak) {
  double squares = 0;
  for (size_t i = 0; i < want.data.size(); ++i) {
    const double difference = static_cast<double>(got.data[i]) - want.data[i];
    squares += difference * difference;
  }
  return 10 * std::log10(peak * peak * static_cast<double>(want.data.size()) / squares);
}

Tensor clamped(Tensor picture) {
  for (float& value : picture.data) value = std::clamp(value, -1.0F, 1.0F);
  return picture;
}

double spread(const Tensor& tensor) {
  const auto [low, high] = std::minmax_element(tensor.data.begin(), tensor.data.end());
  return static_cast<double>(*high) - *low;
}

request::Request make_request(const Options& options, const pipelines::ModelTraits& traits) {
  request::Request request;
  request.seed = 1;
  request.subseed = 0;
  request.steps = options.steps;
  request.width = options.width > 0 ? options.width : traits.width;
  request.height = options.height > 0 ? options.height : traits.height;
  return request;
}

/// Draws picture i, or decodes noise alone; gives the seconds that count.
double run(Recorder& model, request::Request request, int64_t i, const Options& options) {
  if (options.noise) {
    Tensor z({1, model.traits().latent_channels, request.height / model.traits().factor,
              request.width / model.traits().factor});
    std::mt19937 generator(static_cast<uint32_t>(i));
    std::normal_distribution<float> normal;
    for (float& value : z.data) value = normal(generator);
    expect(model.decode(z, nullptr));
    return model.decode_seconds;
  }
  request.prompt = kPrompts[static_cast<size_t>(i) % std::size(kPrompts)];
  request.seed += i;
  const auto begin = Clock::now();
  expect(pipelines::text_to_image(model, request, 1, {}));
  return options.decode ? model.decode_seconds : seconds_since(begin);
}

/// "VmHWM" of this process in MiB, mapped files included.
int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    if (key != "VmHWM:") continue;
    int64_t kib = 0;
    status >> kib;
    return kib / 1024;
  }
  return 0;
}

void compare(const Options& options, uint64_t max_memory) {
  Recorder changed(options, max_memory);
  std::optional<Recorder> exact;
  if (!options.alone) exact.emplace(options, 0);
  const request::Request base = make_request(options, changed.traits());
  request::Request other = base;
  for (const std::string& assignment : options.fields) {
    const size_t equals = std::min(assignment.find('='), assignment.size());
    const request::Field* field = request::find_field(assignment.substr(0, equals));
    if (!field) expect(Result<int>(Error{ErrorCode::kInvalidArgument, assignment + "?"}));
    if (Status set = request::set_text(other, *field, assignment.substr(equals + 1)); !set)
      expect(Result<int>(set.error()));
  }
  std::vector<double> exact_seconds, seconds;
  double latents = 0, pictures = 0;
  for (int64_t i = -1; i < options.pictures; ++i) {  // the first one packs the weights
    const double exactly = exact ? run(*exact, base, std::max<int64_t>(i, 0), options) : 0;
    double changed_so = 0;
    if (exact && options.decode) {
      expect(changed.decode(Tensor(exact->latents), nullptr));
      changed_so = changed.decode_seconds;
    } else {
      changed_so = run(changed, other, std::max<int64_t>(i, 0), options);
    }
    if (i < 0) continue;
    seconds.push_back(changed_so);
    if (!exact) continue;
    exact_seconds.push_back(exactly);
    latents += psnr(changed.latents, exact->latents, spread(exact->latents));
    pictures += psnr(clamped(changed.pictures), clamped(exact->pictures), 2);
  }
  const auto n = static_cast<double>(options.pictures);
  fmt::print("seconds {:.3f}", median(seconds));
  if (exact) {
    fmt::print(", exact {:.3f}, gain {:.2f}, PSNR latents {:.1f} dB, pictures {:.1f} dB",
               median(exact_seconds), median(exact_seconds) / median(seconds), latents / n,
               pictures / n);
  }
  fmt::print("; peak memory {} MiB\n", peak_memory());
}

int run_program(int argc, char** argv) {
  Options options;
  CLI::App app("Gain and distance of the ways to do less work");
  app.add_option("MODEL", options.model)->required();
  app.add_option("FIELDS", options.fields, "field=value of the changed request");
  app.add_option("--width", options.width);
  app.add_option("--height", options.height);
  app.add_option("--steps", options.steps);
  app.add_option("--pictures", options.pictures);
  app.add_option("--precision", options.precision);
  app.add_option("--threads", options.threads);
  app.add_option("--max-memory", options.max_memory, "Budget of the changed run");
  app.add_flag("--decode", options.decode, "Count the decoding alone, of the exact run's latents");
  app.add_flag("--noise", options.noise, "Decode noise, nothing else");
  app.add_flag("--alone", options.alone, "The changed run alone, for its peak memory");
  CLI11_PARSE(app, argc, argv);
  uint64_t max_memory = 0;
  if (!options.max_memory.empty()) max_memory = parse_bytes(options.max_memory).value_or(0);
  compare(options, max_memory);
  return 0;
}

}  // namespace
}  // namespace safelight

int main(int argc, char** argv) { return safelight::run_program(argc, argv); }
