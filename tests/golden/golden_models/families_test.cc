// Stable Diffusion 2.x, SDXL, its refiner and distilled models against diffusers and transformers
// on tiny random checkpoints (tools/reference/record_families.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "diffusion/guidance.h"
#include "diffusion/sampler.h"
#include "golden/golden_models/random_checkpoint.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/registry.h"
#include "support/random_tensor.h"
#include "support/temporary_folder.h"
#include "weights/convert.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using engine::Precision;
using graph::Graph;
using graph::Numerics;
using graph::Value;
using pipelines::Conditioning;
using testing::Container;
using testing::Dialect;
using testing::RandomCheckpoint;

constexpr double kLimitF32 = 1e-8, kLimitBF16 = 1e-3;
// Guidance of 7 multiplies the error of a single evaluation, and four steps add theirs.
constexpr double kRunLimitBF16 = 5e-3;

struct Setup {
  const char* variant;
  const char* name;  ///< what people call the published model of this form
  Dialect dialect = Dialect::kOriginal;
  Precision precision = Precision::kF32;
  Container container = Container::kSafetensors;
};

/// The facts in the order of the recorder: heights before widths.
pipelines::PictureFacts facts_of(const std::vector<double>& numbers) {
  pipelines::PictureFacts facts;
  if (numbers.empty()) return facts;
  const auto whole = [&](size_t i) { return static_cast<int64_t>(numbers[i]); };
  facts = {.original_width = whole(1),
           .original_height = whole(0),
           .crop_left = whole(3),
           .crop_top = whole(2)};
  if (numbers.size() == 5) {
    facts.aesthetic_score = numbers[4];
  } else {
    facts.target_height = whole(4);
    facts.target_width = whole(5);
  }
  return facts;
}

class FamilyGolden : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    path_ = checkpoint_.write(folder_.path(), GetParam().dialect, GetParam().container);
    // An original file of SD 2 does not tell what it predicts; its name may.
    if (GetParam().variant == std::string("sd2") && path_.extension() == ".safetensors") {
      const auto named = folder_.path() / "sd2-768-v.safetensors";
      std::filesystem::rename(path_, named);
      path_ = named;
    }
    engine_ =
        std::move(*engine::make_engine("cpu", {.precision = GetParam().precision, .threads = 2}));
  }

  double limit() const { return GetParam().precision == Precision::kF32 ? kLimitF32 : kLimitBF16; }

  Result<Conditioning> encode(pipelines::LatentModel& model, bool negative) const {
    const Tensor ids = checkpoint_.recorded(negative ? "in.empty" : "in.ids");
    text::TokenChunk chunk;
    std::copy_n(ids.begin(), ids.size(), chunk.tokens.begin());
    const auto facts = facts_of(checkpoint_.numbers(negative ? "negative_facts" : "facts"));
    return model.encode({chunk}, {.negative = negative, .facts = facts}, nullptr);
  }

  /// The recorded states of all text encoders, side by side.
  Tensor recorded_context() const {
    const std::vector<std::string> names = checkpoint_.recorded_names();
    const Tensor first = checkpoint_.recorded("text.0.states");
    if (std::find(names.begin(), names.end(), "text.1.states") == names.end()) return first;
    const Tensor second = checkpoint_.recorded("text.1.states");
    const int64_t a = first.shape[2], b = second.shape[2];
    Tensor both({1, first.shape[1], a + b});
    for (int64_t t = 0; t < first.shape[1]; ++t) {
      std::copy_n(first.begin() + t * a, a, both.begin() + t * (a + b));
      std::copy_n(second.begin() + t * b, b, both.begin() + t * (a + b) + a);
    }
    return both;
  }

  RandomCheckpoint checkpoint_{GetParam().variant, "families"};
  test::TemporaryFolder folder_;
  std::filesystem::path path_;
  std::unique_ptr<engine::Engine> engine_;
};

TEST_P(FamilyGolden, TextAndFactsAreEncodedAsByTheReference) {
  auto model = pipelines::load_model(*engine_, path_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ((*model)->traits().family, GetParam().name);
  const auto encoded = encode(**model, false);
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  EXPECT_LE(nmse(encoded->context, recorded_context()), limit());
  if (checkpoint_.numbers("facts").empty()) {
    EXPECT_TRUE(encoded->vector.data.empty());
    return;
  }
  const Tensor vector = checkpoint_.recorded("vector");
  EXPECT_LE(nmse(encoded->vector, vector), limit());
  // The pooled text by itself, which is small beside the facts.
  const std::vector<std::string> names = checkpoint_.recorded_names();
  const bool two = std::find(names.begin(), names.end(), "text.1.pooled") != names.end();
  const Tensor pooled = checkpoint_.recorded(two ? "text.1.pooled" : "text.0.pooled");
  Tensor got(pooled.shape);
  std::copy_n(encoded->vector.begin(), got.size(), got.begin());
  EXPECT_LE(nmse(got, pooled), limit());

  const auto nothing = encode(**model, true);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->context.data, std::vector<float>(encoded->context.data.size(), 0.0F));
}

TEST_P(FamilyGolden, EveryBlockOfTheUNetEqualsTheReference) {
  const auto model = models::stable_diffusion::bind(*weights::open_weights(path_));
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Tensor x = checkpoint_.recorded("in.latents"), t = checkpoint_.recorded("in.timesteps"),
               context = recorded_context();
  std::vector<const Tensor*> given{&x, &t, &context};
  Graph g;
  const Value input = g.input("x", x.shape, Numerics::kF32),
              time = g.input("t", t.shape, Numerics::kF32);
  const auto keys = model->unet.network.keys(g, g.input("context", context.shape));
  models::unet::PassOptions options;
  Tensor vector;
  if (model->config.facts > 0) {
    vector = checkpoint_.recorded("vector");
    options.vector = g.input("vector", vector.shape, Numerics::kF32);
    given.push_back(&vector);
  }
  model->unet.network(g, input, time, keys, options);
  std::set<std::string> missing;
  for (const std::string& name : checkpoint_.recorded_names()) {
    if (name.starts_with("unet.")) missing.insert(name);
  }
  EXPECT_GE(missing.size(), 12U);
  for (const graph::NamedValue& tap : std::vector<graph::NamedValue>(g.taps())) {
    if (missing.contains(tap.name)) g.output(tap.name, tap.value);
  }
  auto executable = engine_->compile(g, engine_->load(model->unet.weights));
  ASSERT_TRUE(executable.ok()) << executable.error().message;
  const auto outputs = engine::run_once(**executable, given, g.outputs().size());
  ASSERT_TRUE(outputs.ok());
  for (size_t i = 0; i < outputs->size(); ++i) {
    const std::string& name = g.outputs()[i].name;
    EXPECT_LE(nmse((*outputs)[i], checkpoint_.recorded(name)), limit()) << name;
    missing.erase(name);
  }
  EXPECT_EQ(missing, std::set<std::string>());
}

/// Text to picture through the pipeline's own model: 4 steps of Euler with guidance 7.
TEST_P(FamilyGolden, ARunEqualsTheReference) {
  auto model = pipelines::load_model(*engine_, path_);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto cond = encode(**model, false), uncond = encode(**model, true);
  ASSERT_TRUE(cond.ok() && uncond.ok());
  auto predictor = (*model)->predictor({&*uncond, &*cond}, 3, 4, {}, nullptr);
  ASSERT_TRUE(predictor.ok()) << predictor.error().message;
  const diffusion::NoiseSchedule& schedule = (*model)->traits().schedule;
  diffusion::ImageNoise noise({.shape = {4, 3, 4}, .seeds = {11}});
  const diffusion::SampleInputs inputs{
      schedule, diffusion::Spacing::kUniform, 4, {}, noise, {11}, {4, 3, 4}, {}};
  const auto denoiser = [&](const Tensor& x, double sigma, double t) -> Result<Tensor> {
    Tensor both = x;
    both.shape[0] = 2;
    both.data.insert(both.data.end(), x.begin(), x.end());
    for (float& value : both.data) value *= static_cast<float>(schedule.input_scale(sigma));
    const Tensor out = *(**predictor)(both, schedule.told(sigma, t), nullptr);
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

/// What SD WebUI does with prompts for SDXL beside what the recorder shows: the text in one vector
/// is that of the first chunk, clip skip changes nothing, and no words at all are zeros.
TEST(FamilyText, SdxlReadsPromptsAsSdWebUi) {
  const test::TemporaryFolder folder;
  const RandomCheckpoint checkpoint("sdxl", "families");
  auto engine =
      std::move(*engine::make_engine("cpu", {.precision = Precision::kF32, .threads = 2}));
  auto model = pipelines::load_model(*engine, checkpoint.write(folder.path(), Dialect::kOriginal));
  ASSERT_TRUE(model.ok()) << model.error().message;
  text::TokenChunk first;
  std::copy_n(checkpoint.recorded("in.ids").begin(), first.tokens.size(), first.tokens.begin());
  text::TokenChunk second = first;
  std::swap(second.tokens[1], second.tokens[3]);
  const auto encode = [&](const std::vector<text::TokenChunk>& chunks,
                          const pipelines::EncodeOptions& options = {}) {
    return std::move(*(*model)->encode(chunks, options, nullptr));
  };
  const Conditioning one = encode({first}), other = encode({second}),
                     both = encode({first, second});
  EXPECT_GT(nmse(other.vector, one.vector), 1e-6);
  EXPECT_EQ(both.vector.data, one.vector.data);
  std::vector<float> joined = one.context.data;
  joined.insert(joined.end(), other.context.data.begin(), other.context.data.end());
  EXPECT_EQ(both.context.data, joined);
  EXPECT_EQ(both.context.shape, (graph::Shape{1, 154, 192}));
  EXPECT_EQ(encode({first}, {.clip_skip = 2}).context.data, one.context.data);

  const Conditioning nothing = encode({{}, {}}, {.negative = true});
  EXPECT_EQ(nothing.context.data, std::vector<float>(both.context.data.size(), 0.0F));
  // A prompt without words is encoded where it is not the negative one, and so is a negative one
  // that has words in any chunk.
  EXPECT_NE(encode({{}, {}}).context.data, nothing.context.data);
  EXPECT_EQ(encode({first}, {.negative = true}).context.data, one.context.data);
}

/// Where the networks of a checkpoint lie: what of the original file or of a diffusers folder
/// stands under which names.
struct PartsCase {
  const char* what;
  bool from_folder;
  const char* prefix;
  const char* renamed;
};

/// The networks of a checkpoint from files of their own, each in another dialect, and whole files
/// of other programs, bind to the same weights.
TEST(FamilyParts, OfSeveralDialectsBindToTheSameWeights) {
  const std::vector<std::vector<PartsCase>> cases{
      {{"LDM's UNet alone", false, "model.diffusion_model.", "unet."},
       {"diffusers' VAE", true, "vae.", "vae."},
       {"transformers' CLIP-L", true, "text_encoder.", "text_encoder."},
       {"OpenCLIP's bigG", false, "conditioner.embedders.1.model.", "text_encoder_2."}},
      {{"diffusers' UNet", true, "unet.", "unet."},
       {"LDM's VAE alone", false, "first_stage_model.", "vae."},
       {"transformers' CLIP-L", true, "text_encoder.", "text_encoder."},
       {"transformers' bigG", true, "text_encoder_2.", "text_encoder_2."}},
      {{"ComfyUI's UNet", false, "model.diffusion_model.", "model.diffusion_model."},
       {"ComfyUI's VAE", false, "first_stage_model.", "first_stage_model."},
       {"ComfyUI's CLIP-L", true, "text_encoder.", "text_encoders.clip_l.transformer."},
       {"ComfyUI's bigG", true, "text_encoder_2.", "text_encoders.clip_g.transformer."}},
      {{"stable-diffusion.cpp's UNet", false, "model.diffusion_model.", "model.diffusion_model."},
       {"stable-diffusion.cpp's VAE", false, "first_stage_model.", "first_stage_model."},
       {"stable-diffusion.cpp's CLIP-L", true, "text_encoder.", "cond_stage_model.transformer."},
       {"stable-diffusion.cpp's bigG", true, "text_encoder_2.",
        "cond_stage_model.1.transformer."}}};
  const test::TemporaryFolder original, diffusers;
  const RandomCheckpoint checkpoint("sdxl", "families");
  const auto whole = *weights::open_weights(checkpoint.write(original.path(), Dialect::kOriginal));
  const auto folder =
      *weights::open_weights(checkpoint.write(diffusers.path(), Dialect::kOlderDiffusers));
  const auto want = models::stable_diffusion::bind(whole);
  ASSERT_TRUE(want.ok());
  const auto compare = [](const auto& a, const auto& b, const char* what) {
    auto network = a.network;
    for (const weights::Param& param : nn::name_params(network, "")) {
      EXPECT_EQ(weights::to_tensor(a.weights.at(param.name)).data,
                weights::to_tensor(b.weights.at(param.name)).data)
          << what << " " << param.name;
    }
  };
  for (const std::vector<PartsCase>& parts : cases) {
    weights::TensorIndex mixed;
    for (const PartsCase& part : parts) {
      const std::string_view prefix = part.prefix;
      for (const auto& [name, tensor] : part.from_folder ? folder : whole) {
        if (!name.starts_with(prefix)) continue;
        ASSERT_TRUE(mixed.add(part.renamed + name.substr(prefix.size()), tensor, "part"));
      }
    }
    const auto got = models::stable_diffusion::bind(mixed);
    ASSERT_TRUE(got.ok()) << parts[2].what << ": " << got.error().message;
    compare(got->unet, want->unet, parts[0].what);
    compare(got->autoencoder, want->autoencoder, parts[1].what);
    ASSERT_EQ(got->text.size(), 2U);
    compare(got->text[0], want->text[0], parts[2].what);
    compare(got->text[1], want->text[1], parts[3].what);
    EXPECT_TRUE(got->config.text[0].network.quick_gelu);
    EXPECT_FALSE(got->config.text[1].network.quick_gelu);
  }
}

/// In a budget that text encoders and denoiser do not fit in together, each makes room for the
/// other, and nothing changes.
TEST(FamilyMemory, TextEncodersAndDenoiserTakeTurns) {
  const test::TemporaryFolder folder;
  const auto path = RandomCheckpoint("sdxl", "families").write(folder.path(), Dialect::kOriginal);
  struct Drawn {
    Result<Conditioning> text;
    Result<Tensor> out;
  };
  text::TokenChunk chunk;
  chunk.tokens[1] = 320;
  const Tensor x = testing::random_tensor({1, 4, 4, 4}, 3);
  const auto draw = [&](pipelines::LatentModel& model) -> Drawn {
    const auto text = model.encode({chunk}, {.facts = {.original_width = 64}}, nullptr);
    if (!text) return {text.error(), text.error()};
    const auto predictor = model.predictor({&*text}, 4, 4, {}, nullptr);
    if (!predictor) return {text, predictor.error()};
    return {text, (**predictor)(x, 500, nullptr)};
  };
  const auto open = [&](engine::Engine& engine) {
    return std::move(*pipelines::load_model(engine, path));
  };
  auto free = std::move(*engine::make_engine("cpu", {.precision = Precision::kF32, .threads = 2}));
  auto model = open(*free);
  ASSERT_TRUE(model->encode({chunk}, {}, nullptr).ok());
  const uint64_t text_bytes = model->bytes();
  const Drawn want = draw(*model);
  ASSERT_TRUE(want.out.ok());
  const uint64_t unet_bytes = model->bytes() - text_bytes;
  // The least of some budgets that a picture can be drawn in; steps are smaller than the text
  // encoders, so that in the first one that suffices not everything fits.
  bool drawn = false;
  std::string last;
  constexpr uint64_t kMost = uint64_t{128} << 20;
  for (uint64_t more = 0; more < kMost && !drawn; more += text_bytes / 2) {
    auto small = std::move(*engine::make_engine(
        "cpu", {.precision = Precision::kF32, .threads = 2, .max_memory = unet_bytes + more}));
    auto tight = open(*small);
    const Drawn first = draw(*tight);
    if (!first.out.ok()) {
      last = first.out.error().message;
      continue;
    }
    drawn = true;
    EXPECT_LT(tight->bytes(), unet_bytes + text_bytes);
    const Drawn again = draw(*tight);
    ASSERT_TRUE(again.out.ok()) << again.out.error().message;
    EXPECT_EQ(again.text->context.data, want.text->context.data);
    EXPECT_EQ(again.out->data, want.out->data);
    EXPECT_LT(tight->bytes(), unet_bytes + text_bytes);
  }
  EXPECT_TRUE(drawn) << unet_bytes << " " << text_bytes << ": " << last;
}

/// SDXL's VAE overflows in float16, whose largest number is 65504: its features grow beyond that.
/// Ours stays right in bf16 where the features are far larger.
TEST(FamilyVae, ActivationsBeyondFloat16StayRight) {
  const test::TemporaryFolder folder;
  auto index = *weights::open_weights(
      RandomCheckpoint("sdxl", "families").write(folder.path(), Dialect::kOriginal));
  for (const char* part : {"weight", "bias"}) {
    const std::string name = std::string("first_stage_model.decoder.conv_in.") + part;
    Tensor large = weights::to_tensor(*index.find(name));
    for (float& value : large.data) value *= 0x1p20F;
    index.replace(name, weights::view_of(std::move(large)));
  }
  const auto model = models::stable_diffusion::bind(index);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Tensor latent = testing::random_tensor({1, 4, 8, 8}, 3);
  std::vector<Tensor> images;
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    auto engine = std::move(*engine::make_engine("cpu", {.precision = precision, .threads = 2}));
    Graph g;
    model->autoencoder.network.decode(g, g.input("latent", latent.shape, Numerics::kF32));
    for (const graph::NamedValue& tap : std::vector<graph::NamedValue>(g.taps())) {
      if (tap.name == "vae.decoded" || tap.name == "vae.decoder.mid") g.output(tap.name, tap.value);
    }
    auto executable = engine->compile(g, engine->load(model->autoencoder.weights));
    ASSERT_TRUE(executable.ok());
    auto outputs = *engine::run_once(**executable, {&latent}, 2);
    const Tensor& middle = outputs[0];
    EXPECT_GT(*std::max_element(middle.begin(), middle.end()), 10 * 65504.0F);
    images.push_back(std::move(outputs[1]));
  }
  EXPECT_LE(nmse(images[1], images[0]), kLimitBF16);
}

std::vector<Setup> setups() {
  std::vector<Setup> all;
  for (const auto& [variant, name] :
       {std::pair("sd2", "Stable Diffusion 2.x"), std::pair("sdxl", "SDXL"),
        std::pair("refiner", "SDXL refiner"), std::pair("ssd", "SDXL"),
        std::pair("tiny", "Tiny SD")}) {
    all.push_back({variant, name});
    all.push_back({variant, name, Dialect::kDiffusers});
    all.push_back({variant, name, Dialect::kOlderDiffusers});
    all.push_back({variant, name, Dialect::kOriginal, Precision::kBF16});
  }
  all.push_back({"sdxl", "SDXL", Dialect::kOriginal, Precision::kF32, Container::kGguf});
  all.push_back({"sdxl", "SDXL", Dialect::kOriginal, Precision::kF32, Container::kTorch});
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Setup>& test) {
  const Setup& setup = test.param;
  std::string text = setup.variant;
  text += setup.dialect == Dialect::kOriginal    ? "_original_"
          : setup.dialect == Dialect::kDiffusers ? "_diffusers_"
                                                 : "_older_diffusers_";
  text += engine::precision_name(setup.precision);
  if (setup.container == Container::kGguf) text += "_gguf";
  if (setup.container == Container::kTorch) text += "_torch";
  return text;
}

INSTANTIATE_TEST_SUITE_P(All, FamilyGolden, ::testing::ValuesIn(setups()), name_of);

}  // namespace
}  // namespace safelight
