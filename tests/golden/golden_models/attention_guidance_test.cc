// Perturbed-attention and self-attention guidance against diffusers' pipelines, run whole on tiny
// random checkpoints (tools/reference/record_attention_guidance.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "golden/golden_models/random_checkpoint.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/guided_denoiser.h"
#include "pipelines/registry.h"
#include "support/temporary_folder.h"
#include "weights/convert.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace safelight {
namespace {

using engine::Precision;
using pipelines::GuidedDenoiser;
using request::Request;

constexpr double kLimitF32 = 1e-8, kLimitBF16 = 1e-3;

struct Setup {
  const char* variant;
  Precision precision;
  std::vector<std::string> methods = {};
};

class AttentionGuidance : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("safelight-attention-" + std::to_string(::getpid()));
    path_ = checkpoint_.write(folder_, testing::Dialect::kOriginal);
    engine_ = std::move(*engine::make_engine(
        "cpu",
        {.precision = GetParam().precision, .threads = 2, .product_methods = GetParam().methods}));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Tensor recorded(const std::string& name) const {
    const auto index =
        weights::open_safetensors(std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/sd1/" +
                                  GetParam().variant + "/attention_guidance.safetensors");
    return weights::to_tensor(*index->find(name));
  }

  static Request request(double cfg_scale) {
    Request request;  // the texts of record_sd1.py
    request.prompt = "a red apple on a blue background";
    request.steps = 4;
    request.cfg_scale = cfg_scale;
    return request;
  }

  /// Latents after Euler's steps between the levels of those timesteps and 0.
  Tensor run(const Request& request, const Tensor& noise, const std::vector<double>& timesteps,
             bool starts_preserving) {
    if (!model_) model_ = std::move(*pipelines::load_model(*engine_, path_));
    pipelines::LatentModel& model = *model_;
    const text::Vocabulary words;
    const auto prompts =
        pipelines::PromptConditioning::encode({model, nullptr, "", words}, request);
    const auto guidance = pipelines::GuidanceSettings::of(request, model.traits());
    EXPECT_TRUE(guidance.ok()) << (guidance.ok() ? "" : guidance.error().message);
    GuidedDenoiser denoiser(model, request, *prompts,
                            {.pictures = noise.shape[0], .guidance = *guidance});
    const diffusion::NoiseSchedule& schedule = model.traits().schedule;
    double sigma = schedule.sigma(timesteps[0]);
    const double scale = starts_preserving ? std::sqrt(sigma * sigma + 1) : sigma;
    Tensor x = noise;
    for (float& value : x.data) value = static_cast<float>(value * scale);
    for (size_t i = 0; i < timesteps.size(); ++i) {
      const double next = i + 1 < timesteps.size() ? schedule.sigma(timesteps[i + 1]) : 0;
      const auto picture = denoiser(x, sigma, timesteps[i]);
      EXPECT_TRUE(picture.ok());
      for (size_t k = 0; k < x.data.size(); ++k) {
        const double slope = (x.data[k] - picture->data[k]) / sigma;
        x.data[k] = static_cast<float>(x.data[k] + slope * (next - sigma));
      }
      denoiser.step_done();
      sigma = next;
    }
    return x;
  }
  /// As diffusers' EulerDiscreteScheduler and DDIMScheduler step.
  Tensor euler(const Request& request, const Tensor& noise) {
    return run(request, noise, {999, 666, 333, 0}, false);
  }
  Tensor ddim(const Request& request, const Tensor& noise) {
    return run(request, noise, {751, 501, 251, 1}, true);
  }

  static Tensor second(const Tensor& batch) {
    Tensor one({1, batch.shape[1], batch.shape[2], batch.shape[3]});
    std::copy_n(batch.begin() + one.size(), one.size(), one.begin());
    return one;
  }

  testing::RandomCheckpoint checkpoint_{GetParam().variant};
  std::filesystem::path folder_, path_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<pipelines::LatentModel> model_;  // loaded by the first run
};
/// In every precision: guidance multiplies rounding, so whole runs are compared in float32 alone.
class AttentionGuidanceNetworks : public AttentionGuidance {};

/// The perturbed network's blocks, and where the middle block looks.
TEST_P(AttentionGuidanceNetworks, EqualDiffusers) {
  const auto model = models::stable_diffusion::bind(*weights::open_weights(path_));
  const models::unet::UNet& unet = model->unet.network;
  const models::unet::SelfAttentions attentions = unet.self_attentions();
  const Tensor x = recorded("in.noise"), t = recorded("in.timesteps"),
               context = checkpoint_.recorded("text.final");
  const double limit = GetParam().precision == Precision::kF32 ? kLimitF32 : kLimitBF16;
  const auto compare = [&](const models::unet::PassOptions& options, const std::string& prefix,
                           const std::vector<std::string>& names) {
    graph::Graph g;
    const graph::Value input = g.input("x", x.shape, graph::Numerics::kF32),
                       time = g.input("t", t.shape, graph::Numerics::kF32);
    unet(g, input, time, unet.keys(g, g.input("context", context.shape)), options);
    for (const graph::NamedValue& tap : std::vector<graph::NamedValue>(g.taps())) {
      if (std::find(names.begin(), names.end(), tap.name) != names.end())
        g.output(tap.name, tap.value);
    }
    auto executable = engine_->compile(g, engine_->load(model->unet.weights));
    ASSERT_TRUE(executable.ok()) << executable.error().message;
    const auto outputs = *engine::run_once(**executable, {&x, &t, &context}, names.size());
    for (size_t i = 0; i < names.size(); ++i)
      EXPECT_LE(nmse(outputs[i], recorded(prefix + g.outputs()[i].name)), limit) << prefix;
  };
  const std::vector<std::string> blocks = {"unet.middle_block", "unet.output_blocks.0", "unet.out"};
  compare({.perturbed = *attentions.find("mid")}, "mid.", blocks);
  compare({.perturbed = *attentions.find("down,up")}, "outer.", blocks);
  graph::Graph g;
  const graph::Value input = g.input("x", x.shape, graph::Numerics::kF32),
                     time = g.input("t", t.shape, graph::Numerics::kF32);
  unet(g, input, time, unet.keys(g, g.input("context", context.shape)), {.attention_map = true});
  for (const graph::NamedValue& tap : std::vector<graph::NamedValue>(g.taps())) {
    if (tap.name == models::unet::UNet::kAttentionTap) g.output("map", tap.value);
  }
  auto executable = engine_->compile(g, engine_->load(model->unet.weights));
  ASSERT_TRUE(executable.ok()) << executable.error().message;
  const auto maps = *engine::run_once(**executable, {&x, &t, &context}, 1);
  EXPECT_LE(nmse(maps[0], recorded("attention_map")), limit);
}

TEST_P(AttentionGuidance, PerturbedRunsEqualDiffusers) {
  const Tensor noise = recorded("in.noise");
  Request asked = request(5);
  asked.pag_scale = 3;
  EXPECT_LE(nmse(euler(asked, noise), recorded("pag.cfg")), kLimitF32);
  EXPECT_LE(nmse(euler(asked, second(noise)), second(recorded("pag.cfg"))), kLimitF32)
      << "a picture alone";
  asked.cfg_rescale = 0.7;
  EXPECT_LE(nmse(euler(asked, noise), recorded("pag.rescaled")), kLimitF32);
  asked.cfg_rescale = 0;
  asked.pag_adaptive = 0.005;
  EXPECT_LE(nmse(euler(asked, noise), recorded("pag.adaptive")), kLimitF32);
  asked.pag_adaptive = 0;
  asked.pag_scale = 2;
  asked.pag_layers = "down up";
  EXPECT_LE(nmse(euler(asked, noise), recorded("pag.outer")), kLimitF32);
  Request alone = request(1);
  alone.pag_scale = 3;
  EXPECT_LE(nmse(euler(alone, noise), recorded("pag.alone")), kLimitF32);
  EXPECT_GT(nmse(euler(request(1), noise), recorded("pag.alone")), 1e-4) << "it changes something";
}

TEST_P(AttentionGuidance, SelfAttentionRunsEqualDiffusers) {
  const Tensor noise = recorded("in.noise");
  Request asked = request(5);
  asked.sag_scale = 0.75;
  EXPECT_LE(nmse(ddim(asked, noise), recorded("sag.cfg")), kLimitF32);
  EXPECT_LE(nmse(ddim(asked, second(noise)), second(recorded("sag.cfg"))), kLimitF32)
      << "a picture alone";
  EXPECT_GT(nmse(ddim(request(5), noise), recorded("sag.cfg")), 1e-6) << "it changes something";
  Request alone = request(1);
  alone.sag_scale = 0.75;
  EXPECT_LE(nmse(ddim(alone, noise), recorded("sag.alone")), kLimitF32);
}

/// Both at once, with what makes steps cheaper: passes keep their own features, a map is kept from
/// step to step, and the layers in question merge no tokens.
TEST_P(AttentionGuidance, GoesWithCheaperSteps) {
  const Tensor noise = recorded("in.noise");
  Request asked = request(5);
  asked.pag_scale = 3;
  asked.sag_scale = 0.75;
  const Tensor exact = euler(asked, noise);
  asked.deep_cache_interval = 2;
  const double cached = nmse(euler(asked, noise), exact);
  EXPECT_GT(cached, 0);
  EXPECT_LT(cached, 1);
  asked.deep_cache_interval = 1;
  asked.token_merging_ratio = 0.5;
  EXPECT_LT(nmse(euler(asked, noise), exact), 1);
}

/// Transformers of several blocks: which of them is which, and whose map it is.
TEST(AttentionGuidanceXl, PerturbedBlocksEqualDiffusers) {
  const testing::RandomCheckpoint checkpoint("sdxl", "families");
  const test::TemporaryFolder folder;
  const auto index =
      weights::open_weights(checkpoint.write(folder.path(), testing::Dialect::kOriginal));
  ASSERT_TRUE(index.ok()) << index.error().message;
  const auto model = models::stable_diffusion::bind(*index);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const models::unet::UNet& unet = model->unet.network;
  const auto engine =
      std::move(*engine::make_engine("cpu", {.precision = Precision::kF32, .threads = 2}));
  const auto records =
      weights::open_safetensors(std::string(SAFELIGHT_SOURCE_DIR) +
                                "/tests/golden/data/families/sdxl/attention_guidance.safetensors");
  const auto recorded = [&](const std::string& name) {
    return weights::to_tensor(*records->find(name));
  };
  const Tensor x = recorded("in.latents"), t = recorded("in.timesteps"),
               context = recorded("in.context"), vector = recorded("in.vector");
  const auto run = [&](models::unet::PassOptions options) {
    graph::Graph g;
    const graph::Value input = g.input("x", x.shape, graph::Numerics::kF32),
                       time = g.input("t", t.shape, graph::Numerics::kF32);
    const auto keys = unet.keys(g, g.input("context", context.shape));
    options.vector = g.input("vector", vector.shape, graph::Numerics::kF32);
    g.output("out", unet(g, input, time, keys, options));
    for (const graph::NamedValue& tap : std::vector<graph::NamedValue>(g.taps())) {
      if (tap.name == models::unet::UNet::kAttentionTap) g.output("map", tap.value);
    }
    auto executable = engine->compile(g, engine->load(model->unet.weights));
    return *engine::run_once(**executable, {&x, &t, &context, &vector}, g.outputs().size());
  };
  for (const char* layers : {"m1", "d2 u1", "d0-1"}) {
    const std::vector<int64_t> numbers = *unet.self_attentions().find(layers);
    EXPECT_LE(nmse(run({.perturbed = numbers})[0], recorded(layers)), kLimitF32) << layers;
  }
  EXPECT_LE(nmse(run({.attention_map = true})[1], recorded("attention_map")), kLimitF32);
}

std::string setup_name(const ::testing::TestParamInfo<Setup>& test) {
  return std::string(test.param.variant) + "_" +
         std::string(engine::precision_name(test.param.precision)) +
         (test.param.methods.empty() ? "" : "_" + test.param.methods[0]);
}

INSTANTIATE_TEST_SUITE_P(All, AttentionGuidance,
                         ::testing::Values(Setup{"wide", Precision::kF32},
                                           Setup{"small", Precision::kF32}),
                         setup_name);
INSTANTIATE_TEST_SUITE_P(All, AttentionGuidanceNetworks,
                         ::testing::Values(Setup{"wide", Precision::kF32},
                                           Setup{"small", Precision::kF32},
                                           Setup{"wide", Precision::kBF16},
                                           Setup{"small", Precision::kBF16},
                                           Setup{"wide", Precision::kF32, {"onednn"}}),
                         setup_name);

}  // namespace
}  // namespace safelight
