// Adapters for SDXL, with both its text encoders, and for Stable Diffusion 2.x, against diffusers,
// PEFT and LyCORIS on tiny random checkpoints (tools/reference/record_family_adapters.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "golden/golden_models/random_checkpoint.h"
#include "models/names/adapter_names.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/registry.h"
#include "support/temporary_folder.h"
#include "weights/adapt.h"
#include "weights/convert.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using pipelines::Conditioning;
using testing::RandomCheckpoint;

constexpr double kWeightLimit = 1e-10, kOutputLimit = 1e-8;
constexpr int64_t kEachToken = 11;     // of the recorded states
constexpr int64_t kMostRecorded = 80;  // elements of a changed weight

const std::filesystem::path kData = SAFELIGHT_SOURCE_DIR "/tests/golden/data/adapters/families";

struct Case {
  const char* family;
  const char* file;
  const char* expected;  ///< what the file's spelling means; several may mean one
  double unet = 1, text = 1;
};

/// Rows of text encoders side by side.
Tensor joined(const Tensor& a, const Tensor& b) {
  const int64_t tokens = a.shape[1], first = a.shape[2], second = b.shape[2];
  Tensor both({1, tokens, first + second});
  for (int64_t t = 0; t < tokens; ++t) {
    std::copy_n(a.begin() + t * first, first, both.begin() + t * (first + second));
    std::copy_n(b.begin() + t * second, second, both.begin() + t * (first + second) + first);
  }
  return both;
}

/// Every so many of the elements: single numbers, or whole rows.
Tensor sampled(const Tensor& whole, int64_t step, int64_t row = 1) {
  Tensor some({0});
  for (int64_t i = 0; i * row < whole.size(); i += step)
    some.data.insert(some.data.end(), whole.begin() + i * row, whole.begin() + (i + 1) * row);
  some.shape = {static_cast<int64_t>(some.data.size())};
  return some;
}

class FamilyAdapters : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    path_ = checkpoint_.write(folder_.path(), testing::Dialect::kOriginal);
    const auto file = weights::open_weights(kData / "expected.safetensors");
    ASSERT_TRUE(file.ok()) << file.error().message;
    for (const auto& [name, tensor] : *file) expected_[name] = weights::to_tensor(tensor);
    auto adapter = weights::open_adapter(
        kData / fmt::format("{}_{}.safetensors", GetParam().family, GetParam().file));
    ASSERT_TRUE(adapter.ok()) << adapter.error().message;
    use_ = {*adapter, GetParam().unet, GetParam().text, {}};
  }

  std::string prefix() const {
    return fmt::format("{}_{}.", GetParam().family, GetParam().expected);
  }
  const Tensor& expected(const std::string& name) const { return expected_.at(prefix() + name); }

  /// What the UNet is told of the recorded prompt, by the text encoders without adapters.
  Conditioning recorded() const {
    const Tensor first = checkpoint_.recorded("text.0.states");
    if (!two()) return {first, {}};
    return {joined(first, checkpoint_.recorded("text.1.states")), checkpoint_.recorded("vector")};
  }
  bool two() const { return GetParam().family == std::string("sdxl"); }

  RandomCheckpoint checkpoint_{GetParam().family, "families"};
  test::TemporaryFolder folder_;
  std::filesystem::path path_;
  std::map<std::string, Tensor> expected_;
  weights::AdapterUse use_;
};

TEST_P(FamilyAdapters, MakeTheReferencesWeights) {
  EXPECT_TRUE(use_.adapter->unknown().empty()) << use_.adapter->unknown()[0];
  const auto model = models::stable_diffusion::bind(*weights::open_weights(path_));
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto blocks = static_cast<int64_t>(model->config.unet.levels.front().down.size());
  std::vector<const weights::BoundWeights*> networks{&model->unet.weights};
  std::vector<weights::AdapterNames> names{
      models::names::unet_adapter_names(model->unet.weights, blocks)};
  for (const auto& text : model->text) {
    names.push_back(
        models::names::text_adapter_names(text.weights, networks.size() == 1 ? "text" : "text2"));
    networks.push_back(&text.weights);
  }
  std::vector<const weights::AdapterNames*> all;
  for (const auto& some : names) all.push_back(&some);
  EXPECT_EQ(weights::unmatched_modules(*use_.adapter, all), std::vector<std::string>());

  std::set<std::string> missing;
  for (const auto& [name, tensor] : expected_) {
    if (name.starts_with(prefix() + "weight.")) missing.insert(name);
  }
  EXPECT_GE(missing.size(), 8U);
  for (size_t i = 0; i < networks.size(); ++i) {
    const auto changed = weights::adapt(*networks[i], names[i], {&use_, 1});
    ASSERT_TRUE(changed.ok()) << changed.error().message;
    for (const auto& [param, weight] : *changed) {
      const std::string name = fmt::format("{}weight.{}.{}", prefix(), names[i].network(), param);
      ASSERT_EQ(missing.erase(name), 1U) << name;
      Tensor want = expected_.at(name);
      const Tensor whole = weight->whole();
      const int64_t step = (whole.size() + kMostRecorded - 1) / kMostRecorded;
      const Tensor before = sampled(weights::to_tensor(networks[i]->at(param)), step);
      Tensor got = sampled(whole, step);
      ASSERT_EQ(got.size(), want.size()) << name;
      for (size_t k = 0; k < want.data.size(); ++k) {
        want.data[k] -= before.data[k];
        got.data[k] -= before.data[k];
      }
      EXPECT_LE(nmse(got, want), kWeightLimit) << name;
    }
  }
  EXPECT_EQ(missing, std::set<std::string>());
}

/// The pipeline's own model: with the adapter as the reference, and without it again the same bits.
TEST_P(FamilyAdapters, AModelGivesTheReferencesOutputsAndGoesBack) {
  auto engine =
      std::move(*engine::make_engine("cpu", {.precision = engine::Precision::kF32, .threads = 1}));
  auto model = pipelines::load_model(*engine, path_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  text::TokenChunk chunk;
  const Tensor ids = checkpoint_.recorded("in.ids");
  std::copy_n(ids.begin(), ids.size(), chunk.tokens.begin());
  const auto encode = [&]() -> Conditioning { return *(*model)->encode({chunk}, {}, nullptr); };
  const Conditioning told = recorded();
  const auto denoise = [&]() -> Tensor {
    auto predictor = (*model)->predictor({&told}, 8, 8, {}, nullptr);
    return *(**predictor)(checkpoint_.recorded("in.latents"), 487.25, nullptr);
  };
  const Conditioning text_before = encode();
  const Tensor before = denoise();
  EXPECT_LE(nmse(text_before.context, told.context), kOutputLimit);

  ASSERT_TRUE((*model)->set_adapters({use_}).ok());
  const Tensor unet = denoise();
  EXPECT_LE(nmse(unet, expected("unet")), kOutputLimit);
  EXPECT_GT(nmse(before, expected("unet")), 1e-5);
  const Conditioning text = encode();
  const int64_t width = text.context.shape[2];
  EXPECT_LE(nmse(sampled(text.context, kEachToken, width), sampled(expected("context"), 1)),
            kOutputLimit);
  EXPECT_GT(nmse(text_before.context, text.context), 1e-5);
  if (two()) {
    const Tensor& pooled = expected("pooled");
    Tensor got(pooled.shape), was(pooled.shape);
    std::copy_n(text.vector.begin(), got.size(), got.begin());
    std::copy_n(text_before.vector.begin(), was.size(), was.begin());
    EXPECT_LE(nmse(got, pooled), kOutputLimit);
    EXPECT_GT(nmse(was, pooled), 1e-5);
  }

  ASSERT_TRUE((*model)->set_adapters({}).ok());
  EXPECT_EQ(denoise().data, before.data);
  const Conditioning text_after = encode();
  EXPECT_EQ(text_after.context.data, text_before.context.data);
  EXPECT_EQ(text_after.vector.data, text_before.vector.data);
}

INSTANTIATE_TEST_SUITE_P(
    All, FamilyAdapters,
    ::testing::Values(Case{"sdxl", "kohya_ldm", "lora", 0.7, 0.4},
                      Case{"sdxl", "kohya", "lora", 0.7, 0.4},
                      Case{"sdxl", "diffusers", "lora", 0.7, 0.4},
                      Case{"sdxl", "comfyui", "lora", 0.7, 0.4}, Case{"sdxl", "lokr", "lokr"},
                      Case{"sdxl", "dora", "dora"}, Case{"sd2", "kohya", "lora", 0.7, 0.4}),
    [](const auto& test) { return fmt::format("{}_{}", test.param.family, test.param.file); });

}  // namespace
}  // namespace safelight
