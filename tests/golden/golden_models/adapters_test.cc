// Adapters against diffusers, PEFT and LyCORIS on a tiny random checkpoint: the weights that they
// make and what the networks give with them (tools/reference/record_adapters.py).
#include <gtest/gtest.h>

#include <set>

#include "golden/golden_models/random_checkpoint.h"
#include "models/names/adapter_names.h"
#include "models/stable_diffusion/graphs.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/registry.h"
#include "weights/adapt.h"
#include "weights/convert.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace safelight {
namespace {

namespace fs = std::filesystem;
using graph::Graph;
using graph::Numerics;
using graph::Value;

constexpr double kWeightLimit = 1e-10, kOutputLimit = 1e-8;

const fs::path kData = fs::path(SAFELIGHT_SOURCE_DIR) / "tests/golden/data/adapters";

struct Case {
  const char* name;
  double unet = 1, text = 1;
  bool peft = false;  ///< a folder with adapter_model.safetensors

  fs::path path() const {
    return peft ? kData / name / "adapter_model.safetensors"
                : kData / (std::string(name) + ".safetensors");
  }
};

/// The checkpoint, on an engine, for all tests.
struct Base {
  fs::path folder =
      fs::temp_directory_path() / ("safelight-adapters-" + std::to_string(::getpid()));
  fs::path path = testing::RandomCheckpoint("wide").write(folder, testing::Dialect::kOriginal);
  models::stable_diffusion::Model model =
      *models::stable_diffusion::bind(*weights::open_weights(path));
  weights::TensorIndex expected = *weights::open_weights(kData / "expected.safetensors");
  std::unique_ptr<engine::Engine> engine =
      std::move(*engine::make_engine("cpu", {.precision = engine::Precision::kF32}));
  std::shared_ptr<engine::LoadedWeights> unet = engine->load(model.unet.weights);
  std::shared_ptr<engine::LoadedWeights> text = engine->load(model.text[0].weights);
  std::unique_ptr<pipelines::LatentModel> pipeline =
      std::move(*pipelines::load_model(*engine, path));
};

class Adapters : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() { base_ = std::make_unique<Base>(); }
  static void TearDownTestSuite() {
    fs::remove_all(base_->folder);
    base_ = nullptr;
  }

  Tensor expected(const std::string& name) const {
    return weights::to_tensor(*base_->expected.find(name));
  }

  weights::AdapterUse open() const {
    auto adapter = weights::open_adapter(GetParam().path());
    EXPECT_TRUE(adapter.ok()) << (adapter.ok() ? "" : adapter.error().message);
    return {*adapter, GetParam().unet, GetParam().text, {}};
  }

  weights::AdapterNames unet_names() const {
    return models::names::unet_adapter_names(base_->model.unet.weights, 2);
  }
  weights::AdapterNames text_names() const {
    return models::names::text_adapter_names(base_->model.text[0].weights, "text");
  }

  /// The changes of both networks by their params' names, which do not overlap.
  weights::ChangedWeights changes(const weights::AdapterUse& use) const {
    auto unet = weights::adapt(base_->model.unet.weights, unet_names(), {&use, 1});
    auto text = weights::adapt(base_->model.text[0].weights, text_names(), {&use, 1});
    EXPECT_TRUE(unet.ok() && text.ok());
    unet->merge(*text);
    return *unet;
  }

  const weights::TensorView& original(const std::string& name) const {
    const auto& unet = base_->model.unet.weights;
    return unet.contains(name) ? unet.at(name) : base_->model.text[0].weights.at(name);
  }

  Tensor unet_output(const std::shared_ptr<engine::LoadedWeights>& loaded) {
    const Tensor x = expected("in.x"), t = expected("in.t"), context = expected("in.context");
    Graph g;
    const Value input = g.input("x", x.shape, Numerics::kF32),
                time = g.input("t", t.shape, Numerics::kF32);
    const auto keys = base_->model.unet.network.keys(g, g.input("context", context.shape));
    g.output("out", base_->model.unet.network(g, input, time, keys));
    auto executable = base_->engine->compile(g, loaded);
    return (*engine::run_once(**executable, {&x, &t, &context}, 1))[0];
  }
  Tensor text_output(const std::shared_ptr<engine::LoadedWeights>& loaded) {
    const Tensor ids = expected("in.ids");
    Graph g;
    g.output("out", base_->model.text[0].network(g, g.input("ids", ids.shape, Numerics::kF32), 1));
    auto executable = base_->engine->compile(g, loaded);
    return (*engine::run_once(**executable, {&ids}, 1))[0];
  }

  static std::unique_ptr<Base> base_;
};
std::unique_ptr<Base> Adapters::base_;

/// The recorded elements of a tensor: every n-th, as many as were kept.
Tensor sampled(const Tensor& whole, int64_t count) {
  const int64_t step = (whole.size() + 79) / 80;
  Tensor some({count});
  for (int64_t i = 0; i < count; ++i)
    some.data[static_cast<size_t>(i)] = whole.data.at(static_cast<size_t>(i * step));
  return some;
}

TEST_P(Adapters, MakeTheReferencesWeights) {
  const weights::AdapterUse use = open();
  EXPECT_TRUE(use.adapter->unknown().empty()) << use.adapter->unknown()[0];
  const std::vector<weights::AdapterNames> names{unet_names(), text_names()};
  const weights::AdapterNames* networks[] = {&names[0], &names[1]};
  EXPECT_EQ(weights::unmatched_modules(*use.adapter, networks), std::vector<std::string>());
  const weights::ChangedWeights changed = changes(use);
  const std::string prefix = std::string(GetParam().name) + ".weight.";
  std::set<std::string> recorded;
  for (const auto& [name, tensor] : base_->expected) {
    if (!name.starts_with(prefix)) continue;
    const std::string param = name.substr(prefix.size());
    recorded.insert(param);
    ASSERT_TRUE(changed.contains(param)) << param;
    Tensor want = weights::to_tensor(tensor);
    const Tensor before = sampled(weights::to_tensor(original(param)), want.size());
    Tensor got = sampled(changed.at(param)->whole(), want.size());
    for (size_t i = 0; i < want.data.size(); ++i) {
      want.data[i] -= before.data[i];
      got.data[i] -= before.data[i];
    }
    EXPECT_LE(nmse(got, want), kWeightLimit) << param;
  }
  EXPECT_FALSE(recorded.empty());
  for (const auto& [name, weight] : changed) {
    // Biases that PEFT multiplies are not recorded; the networks' outputs show them.
    EXPECT_TRUE(recorded.contains(name) || name.ends_with(".bias")) << name;
  }
}

TEST_P(Adapters, NetworksGiveTheReferencesOutputs) {
  const weights::AdapterUse use = open();
  const auto& unet = base_->model.unet.weights;
  const Tensor before = unet_output(base_->unet);
  EXPECT_LE(nmse(before, expected("base.unet")), kOutputLimit);
  const auto adapted =
      base_->engine->load_changed(base_->unet, *weights::adapt(unet, unet_names(), {&use, 1}));
  const std::string name = GetParam().name;
  EXPECT_LE(nmse(unet_output(adapted), expected(name + ".unet")), kOutputLimit);
  EXPECT_GT(nmse(before, expected(name + ".unet")), 1e-5);
  // Taken away: the same bits.
  EXPECT_EQ(unet_output(base_->unet).data, before.data);
  // What did not change is shared, not packed anew.
  EXPECT_LT(adapted->bytes(), base_->unet->bytes());
  if (!base_->expected.contains(name + ".text")) return;
  const auto adapted_text = base_->engine->load_changed(
      base_->text, *weights::adapt(base_->model.text[0].weights, text_names(), {&use, 1}));
  EXPECT_LE(nmse(text_output(adapted_text), expected(name + ".text")), kOutputLimit);
}

/// The pipeline's own model switches and goes back, bit for bit.
TEST_P(Adapters, AModelSwitchesAndGoesBack) {
  pipelines::LatentModel* const model = base_->pipeline.get();
  ASSERT_TRUE(model->set_adapters({}).ok());
  const auto draw = [&]() -> Tensor {
    const auto text = model->encode({text::TokenChunk{}}, {}, nullptr);
    auto predictor = model->predictor({&*text}, 8, 8, {}, nullptr);
    return *(**predictor)(expected("in.x"), 487.25, nullptr);
  };
  const Tensor before = draw();
  EXPECT_EQ(model->text_identity(), "");
  const weights::AdapterUse use = open();
  ASSERT_TRUE(model->set_adapters({use}).ok());
  const Tensor with = draw();
  EXPECT_GT(nmse(with, before), 1e-6);
  const uint64_t bytes = model->bytes();
  ASSERT_TRUE(model->set_adapters({}).ok());
  EXPECT_EQ(draw().data, before.data);
  ASSERT_TRUE(model->set_adapters({use}).ok());
  EXPECT_EQ(draw().data, with.data);
  EXPECT_EQ(model->bytes(), bytes);  // it was kept
  weights::AdapterUse none = use;
  none.unet = none.text = 0;
  ASSERT_TRUE(model->set_adapters({none}).ok());
  EXPECT_EQ(draw().data, before.data);
}

INSTANTIATE_TEST_SUITE_P(
    All, Adapters,
    ::testing::Values(Case{"kohya", 0.7, 0.4}, Case{"kohya_ldm", 0.7, 0.4},
                      Case{"diffusers", 0.7, 0.4}, Case{"older_diffusers", 0.7, 0.4},
                      Case{"comfyui", 0.7, 0.4}, Case{"diffusers_metadata"},
                      Case{"peft_lora", 1, 1, true}, Case{"peft_dora", 1, 1, true},
                      Case{"peft_loha", 1, 1, true}, Case{"peft_lokr", 1, 1, true},
                      Case{"peft_ia3", 1, 1, true}, Case{"lycoris_locon_tucker"},
                      Case{"lycoris_loha"}, Case{"lycoris_loha_tucker"}, Case{"lycoris_lokr"},
                      Case{"lycoris_lokr_both"}, Case{"lycoris_dora"}, Case{"lycoris_dora_input"},
                      Case{"lycoris_loha_dora"}, Case{"lycoris_ia3"}, Case{"lycoris_ia3_input"},
                      Case{"lycoris_full"}, Case{"lycoris_norm"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace safelight
