// Stable Diffusion 1.x against diffusers and transformers on tiny random checkpoints, tap by tap,
// in both name dialects (tools/reference/record_sd1.py).
#include <gtest/gtest.h>

#include <set>

#include "diffusion/guidance.h"
#include "diffusion/sampler.h"
#include "golden/golden_models/random_checkpoint.h"
#include "models/sd1/sd1.h"
#include "pipelines/registry.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using engine::Precision;
using graph::Graph;
using graph::Numerics;
using graph::Value;
using testing::Dialect;
using testing::RandomCheckpoint;

constexpr double kLimitF32 = 1e-8, kLimitBF16 = 1e-3;
// Guidance of 7 multiplies the error of a single evaluation, and four steps add theirs.
constexpr double kRunLimitBF16 = 5e-3;

struct Setup {
  const char* variant;
  Dialect dialect;
  Precision precision;
  /// Ways to compute products; empty: own kernels wherever they can.
  std::vector<std::string> methods = {};
};

std::string dialect_name(Dialect dialect) {
  if (dialect == Dialect::kOriginal) return "_original_";
  return dialect == Dialect::kDiffusers ? "_diffusers_" : "_older_diffusers_";
}

class Sd1Golden : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("safelight-golden-" + std::to_string(::getpid()));
    path_ = checkpoint_.write(folder_, GetParam().dialect);
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

  models::sd1::Model bind() const {
    const auto index = weights::open_weights(path_);
    EXPECT_TRUE(index.ok()) << (index.ok() ? "" : index.error().message);
    EXPECT_TRUE(models::sd1::matches(*index));
    auto model = models::sd1::bind(*index);
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    return std::move(*model);
  }

  RandomCheckpoint checkpoint_{GetParam().variant};
  std::filesystem::path folder_, path_;
  std::unique_ptr<engine::Engine> engine_;
  std::set<std::string> compared_;
};

TEST_P(Sd1Golden, EveryTapEqualsTheReference) {
  const models::sd1::Model model = bind();
  const Tensor ids = checkpoint_.recorded("in.ids"), context = checkpoint_.recorded("text.final");
  {
    Graph g;
    model.text.network(g, g.input("ids", ids.shape, Numerics::kF32), 1);
    compare(g, model.text.weights, {ids});
  }
  {
    Graph g;
    g.output("text.skip2.final",
             model.text.network(g, g.input("ids", ids.shape, Numerics::kF32), 2));
    auto executable = engine_->compile(g, engine_->load(model.text.weights));
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
  const auto cond = (*model)->encode({chunks[0]}, 1, text::Emphasis::kOriginal, nullptr);
  const auto uncond = (*model)->encode({chunks[1]}, 1, text::Emphasis::kOriginal, nullptr);
  ASSERT_TRUE(cond.ok() && uncond.ok());
  auto predictor = (*model)->predictor({&*uncond, &*cond}, 3, 4, nullptr);
  ASSERT_TRUE(predictor.ok());
  const diffusion::NoiseSchedule& schedule = (*model)->traits().schedule;
  diffusion::ImageNoise noise({.shape = {4, 3, 4}, .seeds = {11}});
  const diffusion::SampleInputs inputs{schedule, diffusion::Spacing::kUniform, 4, {}, noise, {11},
                                       {4, 3, 4}};
  const auto denoiser = [&](const Tensor& x, double sigma, double t) -> Result<Tensor> {
    Tensor both = x;
    both.shape[0] = 2;
    both.data.insert(both.data.end(), x.begin(), x.end());
    for (float& value : both.data)
      value *= static_cast<float>(diffusion::NoiseSchedule::input_scale(sigma));
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
                      Setup{"wide", Dialect::kOriginal, Precision::kBF16, {"onednn"}}),
    [](const auto& test) {
      return std::string(test.param.variant) + dialect_name(test.param.dialect) +
             std::string(engine::precision_name(test.param.precision)) +
             (test.param.methods.empty() ? "" : "_" + test.param.methods[0]);
    });

}  // namespace
}  // namespace safelight
