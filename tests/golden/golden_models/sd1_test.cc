// Stable Diffusion 1.x against diffusers and transformers on tiny random checkpoints, tap by tap,
// in both name dialects (tools/reference/record_sd1.py).
#include <gtest/gtest.h>

#include <set>

#include "diffusion/guidance.h"
#include "diffusion/sampler.h"
#include "golden/golden_models/random_checkpoint.h"
#include "models/stable_diffusion/graphs.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/banded_decoder.h"
#include "pipelines/picture_decoder.h"
#include "pipelines/registry.h"
#include "support/random_tensor.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using engine::Precision;
using graph::Graph;
using graph::Numerics;
using graph::Value;
using testing::Container;
using testing::Dialect;
using testing::RandomCheckpoint;

constexpr double kLimitF32 = 1e-8, kLimitBF16 = 1e-3;
// Guidance of 7 multiplies the error of a single evaluation, and four steps add theirs.
constexpr double kRunLimitBF16 = 5e-3;
constexpr uint64_t kLittle = uint64_t{8} << 20;  // working memory that no whole picture fits in

struct Setup {
  const char* variant;
  Dialect dialect;
  Precision precision;
  /// Ways to compute products; empty: own kernels wherever they can.
  std::vector<std::string> methods = {};
  Container container = Container::kSafetensors;
};

std::string dialect_name(Dialect dialect) {
  if (dialect == Dialect::kOriginal) return "_original_";
  return dialect == Dialect::kDiffusers ? "_diffusers_" : "_older_diffusers_";
}

std::string container_name(Container container) {
  if (container == Container::kSafetensors) return "";
  return container == Container::kTorch ? "_torch" : "_gguf";
}

class Sd1Golden : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("safelight-golden-" + std::to_string(::getpid()));
    path_ = checkpoint_.write(folder_, GetParam().dialect, GetParam().container);
    engine_ = std::move(*engine::make_engine(
        "cpu",
        {.precision = GetParam().precision, .threads = 2, .product_methods = GetParam().methods}));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  double limit() const { return GetParam().precision == Precision::kF32 ? kLimitF32 : kLimitBF16; }

  /// Runs a graph and compares each of its taps and outputs that was recorded.
  void compare(Graph& graph, const weights::BoundWeights& bound, const std::vector<Tensor>& inputs,
               const std::string& prefix = "") {
    for (const graph::NamedValue& tap : std::vector<graph::NamedValue>(graph.taps()))
      graph.output(tap.name, tap.value);
    auto executable = engine_->compile(graph, engine_->load(bound));
    ASSERT_TRUE(executable.ok()) << executable.error().message;
    std::vector<const Tensor*> given;
    for (const Tensor& input : inputs) given.push_back(&input);
    const auto outputs = engine::run_once(**executable, given, graph.outputs().size());
    ASSERT_TRUE(outputs.ok());
    const std::vector<std::string> names = checkpoint_.recorded_names();
    const std::set<std::string> recorded(names.begin(), names.end());
    for (size_t i = 0; i < outputs->size(); ++i) {
      const std::string name = prefix + graph.outputs()[i].name;
      if (!recorded.contains(name)) continue;
      EXPECT_LE(nmse((*outputs)[i], checkpoint_.recorded(name)), limit()) << name;
      compared_.insert(name);
    }
  }

  models::stable_diffusion::Model bind() const {
    const auto index = weights::open_weights(path_);
    EXPECT_TRUE(index.ok()) << (index.ok() ? "" : index.error().message);
    EXPECT_TRUE(models::stable_diffusion::matches(*index));
    auto model = models::stable_diffusion::bind(*index);
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    return std::move(*model);
  }

  RandomCheckpoint checkpoint_{GetParam().variant};
  std::filesystem::path folder_, path_;
  std::unique_ptr<engine::Engine> engine_;
  std::set<std::string> compared_;
};

TEST_P(Sd1Golden, EveryTapEqualsTheReference) {
  const models::stable_diffusion::Model model = bind();
  const Tensor ids = checkpoint_.recorded("in.ids"), context = checkpoint_.recorded("text.final");
  {
    Graph g;
    model.text[0].network(g, g.input("ids", ids.shape, Numerics::kF32), 1);
    compare(g, model.text[0].weights, {ids});
  }
  {
    Graph g;
    g.output("text.skip2.final",
             model.text[0].network(g, g.input("ids", ids.shape, Numerics::kF32), 2));
    auto executable = engine_->compile(g, engine_->load(model.text[0].weights));
    const auto skipped = engine::run_once(**executable, {&ids}, 1);
    EXPECT_LE(nmse((*skipped)[0], checkpoint_.recorded("text.skip2.final")), limit());
    compared_.insert("text.skip2.final");
  }
  for (const std::string tag : {"", "odd."}) {
    const Tensor x = checkpoint_.recorded("in." + tag + "latents"),
                 t = checkpoint_.recorded("in." + tag + "timesteps");
    Tensor text({x.shape[0], context.shape[1], context.shape[2]});
    std::copy_n(context.begin(), text.size(), text.begin());
    Graph g;
    const Value input = g.input("x", x.shape, Numerics::kF32),
                time = g.input("t", t.shape, Numerics::kF32);
    const auto keys = model.unet.network.keys(g, g.input("context", text.shape));
    model.unet.network(g, input, time, keys);
    compare(g, model.unet.weights, {x, t, text}, tag);
  }
  {
    const Tensor image = checkpoint_.recorded("in.image");
    Graph g;
    model.autoencoder.network.encode(g, g.input("image", image.shape, Numerics::kF32));
    compare(g, model.autoencoder.weights, {image});
  }
  {
    const Tensor latent = checkpoint_.recorded("in.latent");
    Graph g;
    model.autoencoder.network.decode(g, g.input("latent", latent.shape, Numerics::kF32));
    compare(g, model.autoencoder.weights, {latent});
  }
  for (const std::string& name : checkpoint_.recorded_names()) {
    const bool tapped = !name.starts_with("in.") && !name.starts_with("run.");
    EXPECT_EQ(compared_.contains(name), tapped) << name;
  }
}

/// Text to picture through the pipeline's own model: 4 steps of Euler with guidance 7.
TEST_P(Sd1Golden, ARunEqualsTheReference) {
  auto model = pipelines::load_model(*engine_, path_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Tensor ids = checkpoint_.recorded("in.ids");
  std::vector<text::TokenChunk> chunks(2);
  for (size_t c = 0; c < 2; ++c) std::copy_n(ids.begin() + c * 77, 77, chunks[c].tokens.begin());
  const auto cond = (*model)->encode({chunks[0]}, {}, nullptr);
  const auto uncond = (*model)->encode({chunks[1]}, {}, nullptr);
  ASSERT_TRUE(cond.ok() && uncond.ok());
  auto predictor = (*model)->predictor({&*uncond, &*cond}, 3, 4, {}, nullptr);
  ASSERT_TRUE(predictor.ok());
  const diffusion::NoiseSchedule& schedule = (*model)->traits().schedule;
  diffusion::ImageNoise noise({.shape = {4, 3, 4}, .seeds = {11}});
  const diffusion::SampleInputs inputs{schedule, diffusion::Spacing::kUniform, 4, {}, noise, {11},
                                       {4, 3, 4}};
  const auto denoiser = [&](const Tensor& x, double sigma, double t) -> Result<Tensor> {
    Tensor both = x;
    both.shape[0] = 2;
    both.data.insert(both.data.end(), x.begin(), x.end());
    for (float& value : both.data) value *= static_cast<float>(schedule.input_scale(sigma));
    const Tensor out = *(**predictor)(both, t, nullptr);
    Tensor u(x.shape), c(x.shape);
    std::copy_n(out.begin(), u.size(), u.begin());
    std::copy_n(out.begin() + u.size(), c.size(), c.begin());
    return schedule.denoised(x, diffusion::guided(u, c, 7), sigma);
  };
  const auto latents =
      diffusion::sample(*diffusion::find_sampler("Euler")->sampler, inputs, denoiser,
                        [](const diffusion::StepInfo&) { return Status(); });
  ASSERT_TRUE(latents.ok());
  const double run_limit = GetParam().precision == Precision::kF32 ? kLimitF32 : kRunLimitBF16;
  EXPECT_LE(nmse(*latents, checkpoint_.recorded("run.latents")), run_limit);
  const auto image = (*model)->decode(*latents, nullptr);
  ASSERT_TRUE(image.ok());
  EXPECT_LE(nmse(*image, checkpoint_.recorded("run.image")), run_limit);
}

/// In bands, with features in memory and in files: the same as whole but for rounding.
TEST_P(Sd1Golden, DecodingInBandsIsExact) {
  models::stable_diffusion::Model model =
      *models::stable_diffusion::bind(*weights::open_weights(path_));
  const Tensor latent = testing::random_tensor({1, 4, 25, 20}, 3);
  auto whole = pipelines::load_model(*engine_, path_);
  const auto want = (*whole)->decode(latent, nullptr);
  ASSERT_TRUE(want.ok());
  auto weights = engine_->load(model.autoencoder.weights);
  pipelines::BandedDecoder bands(*engine_, model.autoencoder.network, weights);
  const auto got = bands.decode(latent, nullptr);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_LE(nmse(*got, *want), limit() / 10);

  // A budget that lets nothing be decoded whole, and no features be kept.
  auto small = std::move(*engine::make_engine("cpu", {.precision = GetParam().precision,
                                                      .threads = 2,
                                                      .max_memory = weights->bytes() + kLittle,
                                                      .product_methods = GetParam().methods}));
  pipelines::PictureDecoder decoder(*small, std::move(model.autoencoder));
  const auto banded = decoder.decode(latent, nullptr);
  ASSERT_TRUE(banded.ok()) << banded.error().message;
  EXPECT_LE(nmse(*banded, *want), limit() / 10);
  engine::StopFlag stop = true;
  EXPECT_EQ(decoder.decode(latent, &stop).error().code, ErrorCode::kCancelled);
}

/// With what the inner blocks gave for the same input, the outer ones give the same noise.
TEST_P(Sd1Golden, ShallowPassesReuseTheInnerBlocks) {
  const models::stable_diffusion::Model model =
      *models::stable_diffusion::bind(*weights::open_weights(path_));
  const models::unet::UNet& unet = model.unet.network;
  const Tensor x = testing::random_tensor({1, 4, 7, 6}, 3);
  std::vector<Tensor> inputs{x, Tensor({1}, {400.0F})};
  for (const int64_t size : unet.key_sizes()) {
    inputs.push_back(testing::random_tensor({1, 77, size}, static_cast<uint32_t>(size)));
    inputs.push_back(testing::random_tensor({1, 77, size}, static_cast<uint32_t>(size) + 1));
  }
  const auto run = [&](const models::stable_diffusion::DenoiserOptions& options, size_t outputs) {
    Graph g;
    models::stable_diffusion::build_denoiser(g, unet, 1, 7, 6, 77, options);
    auto executable = engine_->compile(g, engine_->load(model.unet.weights));
    std::vector<const Tensor*> given;
    for (const Tensor& input : inputs) given.push_back(&input);
    return *engine::run_once(**executable, given, outputs);
  };
  const Tensor exact = run({}, 1)[0];
  for (int64_t outer = 1; outer <= unet.most_outer_blocks(); ++outer) {
    const std::vector<Tensor> whole = run({.outer_blocks = outer}, 2);
    EXPECT_LE(nmse(whole[0], exact), limit()) << outer;
    inputs.push_back(whole[1]);
    EXPECT_LE(nmse(run({.outer_blocks = outer, .shallow = true}, 1)[0], exact), limit()) << outer;
    for (float& value : inputs.back().data) value += 1;
    EXPECT_GT(nmse(run({.outer_blocks = outer, .shallow = true}, 1)[0], exact), limit()) << outer;
    inputs.pop_back();
  }
}

/// A predictor runs the whole network in one of so many steps, and in all evaluations of that step.
TEST_P(Sd1Golden, PredictorsCacheByStep) {
  auto model = pipelines::load_model(*engine_, path_);
  const auto text = (*model)->encode({text::TokenChunk{}}, {}, nullptr);
  ASSERT_TRUE(text.ok());
  auto exact = *(*model)->predictor({&*text}, 8, 8, {}, nullptr);
  auto cached = *(*model)->predictor({&*text}, 8, 8, {.less_work = {.cache_interval = 3}}, nullptr);
  uint32_t seed = 0;
  for (const int64_t step : {0, 0, 1, 1, 2, 3, 4, 6, 9, 10, 9}) {
    const Tensor x = testing::random_tensor({1, 4, 8, 8}, ++seed);
    exact->enter_step(step);
    cached->enter_step(step);
    const double distance = nmse(*(*cached)(x, 500, nullptr), *(*exact)(x, 500, nullptr));
    const bool whole = step == 0 || step == 3 || step == 6 || step == 9;
    EXPECT_EQ(distance <= limit(), whole) << step << " " << distance;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Sd1Golden,
    ::testing::Values(Setup{"wide", Dialect::kOriginal, Precision::kF32},
                      Setup{"wide", Dialect::kDiffusers, Precision::kF32},
                      Setup{"wide", Dialect::kOriginal, Precision::kBF16},
                      Setup{"small", Dialect::kOriginal, Precision::kF32},
                      Setup{"small", Dialect::kDiffusers, Precision::kF32},
                      Setup{"small", Dialect::kOlderDiffusers, Precision::kF32},
                      Setup{"small", Dialect::kDiffusers, Precision::kBF16},
                      Setup{"wide", Dialect::kOriginal, Precision::kF32, {"onednn"}},
                      Setup{"wide", Dialect::kOriginal, Precision::kBF16, {"onednn"}},
                      Setup{"small", Dialect::kOriginal, Precision::kF32, {}, Container::kTorch},
                      Setup{"small", Dialect::kOriginal, Precision::kF32, {}, Container::kGguf}),
    [](const auto& test) {
      return std::string(test.param.variant) + dialect_name(test.param.dialect) +
             std::string(engine::precision_name(test.param.precision)) +
             (test.param.methods.empty() ? "" : "_" + test.param.methods[0]) +
             container_name(test.param.container);
    });

}  // namespace
}  // namespace safelight
