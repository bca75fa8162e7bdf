// The published variants by their shapes alone, and checkpoints that do not fit together.
#include "models/stable_diffusion/stable_diffusion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "models/names/open_clip_names.h"

namespace safelight::models::stable_diffusion {
namespace {

using unet::LevelConfig;

const std::string kUnet = "model.diffusion_model.",
                  kClip = "cond_stage_model.transformer.text_model.",
                  kClipL = "conditioner.embedders.0.transformer.text_model.",
                  kBigG = "conditioner.embedders.1.model.",
                  kLoneBigG = "conditioner.embedders.0.model.",
                  kOpenClipH = "cond_stage_model.model.", kVae = "first_stage_model.";

const clip::TextConfig kSizesOfL{};
const clip::TextConfig kSizesOfH{
    .size = 1024, .layers = 24, .heads = 16, .intermediate = 4096, .quick_gelu = false};
const clip::TextConfig kSizesOfBigG{.size = 1280,
                                    .layers = 32,
                                    .heads = 20,
                                    .intermediate = 5120,
                                    .quick_gelu = false,
                                    .pooled = 1280};

/// Names and shapes without any bytes.
class Shapes {
 public:
  Shapes& add(const std::string& name, std::vector<int64_t> shape) {
    EXPECT_TRUE(index_.add(name, {.dtype = graph::DType::kF16, .shape = std::move(shape)}, file_));
    return *this;
  }
  Shapes& unet(const unet::Config& config, bool linear, const std::string& prefix = kUnet) {
    unet::UNet network(config);
    for (const weights::Param& param : nn::name_params(network, "")) {
      std::vector<int64_t> shape = param.shape;
      const bool projection = param.name.find(".proj_") != std::string::npos && shape.size() == 2 &&
                              param.name.find("net.") == std::string::npos;
      if (projection && !linear) shape.insert(shape.end(), 2, 1);
      add(prefix + param.name, shape);
    }
    return *this;
  }
  Shapes& text(const clip::TextConfig& config, const std::string& prefix) {
    clip::TextEncoder network(config);
    const bool open_clip = prefix.ends_with("model.") && !prefix.ends_with("text_model.");
    for (const weights::Param& param : nn::name_params(network, "")) {
      weights::TensorPlace place =
          open_clip ? names::open_clip_place(param.name) : weights::TensorPlace(param.name);
      if (index_.contains(prefix + place.name)) continue;
      std::vector<int64_t> shape = param.shape;
      shape[0] *= place.parts;
      if (place.transposed) std::reverse(shape.begin(), shape.end());
      add(prefix + place.name, shape);
    }
    return *this;
  }
  Shapes& vae() {
    autoencoder_kl::AutoencoderKL network{autoencoder_kl::Config()};
    for (const weights::Param& param : nn::name_params(network, ""))
      add(kVae + param.name, param.shape);
    return *this;
  }
  Shapes& of_file(const std::string& name) {
    file_ = name;
    return *this;
  }
  weights::TensorIndex& index() { return index_; }

 private:
  weights::TensorIndex index_;
  std::string file_ = "model.safetensors";
};

unet::Config unet_of_1(int64_t in_channels = 4) {
  unet::Config config;
  config.in_channels = in_channels;
  config.levels = {unet::Config::level(320, 2, 1), unet::Config::level(640, 2, 1),
                   unet::Config::level(1280, 2, 1), unet::Config::level(1280, 2, 0)};
  return config;
}

unet::Config unet_of_2() {
  unet::Config config = unet_of_1();
  config.context = 1024;
  config.head_size = 64;
  return config;
}

/// SDXL with depths by level, on the way down and up, and in the middle; -1: one residual block
/// there, -2: none.
unet::Config unet_of_xl(const std::vector<std::vector<int64_t>>& down,
                        const std::vector<std::vector<int64_t>>& up, int64_t middle) {
  unet::Config config;
  const int64_t widths[] = {320, 640, 1280};
  for (size_t i = 0; i < 3; ++i) config.levels.push_back({widths[i], down[i], up[i]});
  config.middle_depth = std::max<int64_t>(middle, 0);
  config.middle_blocks = middle > 0 ? 2 : middle + 2;
  config.context = 2048;
  config.head_size = 64;
  config.vector = 2816;
  return config;
}

unet::Config unet_of_refiner() {
  unet::Config config;
  config.model_channels = 384;
  config.levels = {unet::Config::level(384, 2, 0), unet::Config::level(768, 2, 4),
                   unet::Config::level(1536, 2, 4), unet::Config::level(1536, 2, 0)};
  config.middle_depth = 4;
  config.context = 1280;
  config.head_size = 64;
  config.vector = 2560;
  return config;
}

const unet::Config kXl =
    unet_of_xl({{0, 0}, {2, 2}, {10, 10}}, {{0, 0, 0}, {2, 2, 2}, {10, 10, 10}}, 10);

/// The sizes that the shapes were made from come back.
void expect_same(const unet::Config& got, const unet::Config& want) {
  ASSERT_EQ(got.levels.size(), want.levels.size());
  for (size_t i = 0; i < got.levels.size(); ++i) {
    EXPECT_EQ(got.levels[i].channels, want.levels[i].channels);
    EXPECT_EQ(got.levels[i].down, want.levels[i].down);
    EXPECT_EQ(got.levels[i].up, want.levels[i].up);
  }
  EXPECT_EQ(got.middle_blocks, want.middle_blocks);
  EXPECT_EQ(got.middle_depth, want.middle_depth);
  EXPECT_EQ(got.heads_of(640), want.heads_of(640));
  EXPECT_EQ(got.vector, want.vector);
}

struct Published {
  const char* name;
  unet::Config unet;
  int64_t side;
};

TEST(StableDiffusionVariants, SdxlAndWhatWasDistilledFromIt) {
  const std::vector<Published> all{
      {"SDXL", kXl, 1024},
      {"SSD-1B", unet_of_xl({{0, 0}, {2, 2}, {4, 4}}, {{0, 0, 0}, {2, 1, 1}, {4, 4, 10}}, -1),
       1024},
      {"Segmind Vega", unet_of_xl({{0, 0}, {1, 1}, {2, 2}}, {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}}, -1),
       1024},
      {"KOALA-700M", unet_of_xl({{0}, {2}, {5}}, {{0, 0}, {2, 2}, {5, 5}}, -2), 1024},
      {"KOALA-1B", unet_of_xl({{0}, {2}, {6}}, {{0, 0}, {2, 2}, {6, 6}}, 6), 1024}};
  for (const Published& model : all) {
    Shapes shapes;
    shapes.unet(model.unet, true).text(kSizesOfL, kClipL).text(kSizesOfBigG, kBigG).vae();
    const auto config = probe(shapes.index());
    ASSERT_TRUE(config.ok()) << model.name << config.error().message;
    EXPECT_EQ(config->name, model.name);
    EXPECT_EQ(describe(shapes.index()), model.name);
    expect_same(config->unet, model.unet);
    EXPECT_EQ(config->side, model.side);
    EXPECT_EQ(own_side(shapes.index()), model.side);
    EXPECT_EQ(config->facts, 6);
    EXPECT_FALSE(config->heeds_clip_skip);
    EXPECT_FLOAT_EQ(config->autoencoder.scale, 0.13025F);
    ASSERT_EQ(config->text.size(), 2U);
    EXPECT_TRUE(config->text[0].network.quick_gelu);
    EXPECT_FALSE(config->text[0].zero_padding);
    EXPECT_FALSE(config->text[1].network.quick_gelu);
    EXPECT_TRUE(config->text[1].zero_padding);
    EXPECT_EQ(config->text[1].network.pooled, 1280);
  }
}

TEST(StableDiffusionVariants, Refiner) {
  Shapes shapes;
  shapes.unet(unet_of_refiner(), true).text(kSizesOfBigG, kLoneBigG).vae();
  const auto config = probe(shapes.index());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "SDXL refiner");
  EXPECT_EQ(describe(shapes.index()), "SDXL refiner");
  EXPECT_TRUE(config->tells_score());
  expect_same(config->unet, unet_of_refiner());
  // With the base's text encoders it reads the second.
  Shapes beside;
  beside.unet(unet_of_refiner(), true).text(kSizesOfL, kClipL).text(kSizesOfBigG, kBigG).vae();
  const auto same = probe(beside.index());
  ASSERT_TRUE(same.ok()) << same.error().message;
  ASSERT_EQ(same->text.size(), 1U);
  EXPECT_EQ(same->text[0].network.size, 1280);
}

TEST(StableDiffusionVariants, OneAndWhatChangesPictures) {
  unet::Config small = unet_of_1();
  for (unet::LevelConfig& level : small.levels) {
    level.down.pop_back();
    level.up.pop_back();
  }
  small.middle_blocks = small.middle_depth = 0;
  unet::Config tiny = small;
  tiny.levels.pop_back();
  const std::vector<std::pair<const char*, unet::Config>> all{
      {"Stable Diffusion 1.x", unet_of_1()},
      {"Stable Diffusion 1.x inpainting", unet_of_1(9)},
      {"Stable Diffusion 1.x instruct-pix2pix", unet_of_1(8)},
      {"Small SD", small},
      {"Tiny SD", tiny}};
  for (const auto& [name, unet] : all) {
    Shapes shapes;
    shapes.unet(unet, false).text(kSizesOfL, kClip).vae();
    const auto config = probe(shapes.index());
    ASSERT_TRUE(config.ok()) << name << config.error().message;
    EXPECT_EQ(config->name, name);
    EXPECT_EQ(config->picture_channels(), unet.in_channels - 4);
    expect_same(config->unet, unet);
    EXPECT_EQ(config->side, 512);
    EXPECT_TRUE(config->heeds_clip_skip);
  }
}

TEST(StableDiffusionVariants, Two) {
  Shapes unknown;
  unknown.of_file("model.safetensors").unet(unet_of_2(), true).text(kSizesOfH, kOpenClipH).vae();
  const auto config = probe(unknown.index());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "Stable Diffusion 2.x");
  EXPECT_EQ(config->text[0].network.layers, 23);  // the last one is not read
  EXPECT_TRUE(config->text[0].zero_padding);
  EXPECT_FALSE(config->heeds_clip_skip);
  EXPECT_EQ(config->side, 768);
  EXPECT_EQ(config->unet.heads_of(320), 5);
  EXPECT_EQ(own_side(unknown.index()), 768);
}

/// A UNet alone is described too, whether in LDM's names without a prefix or in diffusers'.
TEST(StableDiffusionVariants, UNetsAlone) {
  Shapes alone;
  alone.unet(kXl, true, "");
  EXPECT_EQ(describe(alone.index()), "SDXL");
  EXPECT_EQ(describe(Shapes().vae().index()), "");
}

TEST(StableDiffusionVariants, SaysWhatDoesNotFit) {
  const auto message = [](Shapes& shapes) {
    const auto config = probe(shapes.index());
    return config ? "" : config.error().message;
  };
  const std::string form = "this checkpoint is not of Stable Diffusion's form: ";
  Shapes no_text;
  no_text.unet(unet_of_1(), false).vae();
  EXPECT_EQ(message(no_text),
            "this file has no text encoder; a whole checkpoint is needed, or text encoders and VAE "
            "from files of their own");
  Shapes no_vae;
  no_vae.unet(unet_of_1(), false).text(kSizesOfL, kClip);
  EXPECT_EQ(message(no_vae),
            "this checkpoint has no VAE; a whole file is needed, or a VAE from another");
  Shapes one_of_two;
  one_of_two.unet(kXl, true).text(kSizesOfBigG, kBigG).vae();
  EXPECT_EQ(message(one_of_two),
            form + "its UNet reads text 2048 wide; its text encoders write 1280");
  Shapes other_text;
  other_text.unet(unet_of_2(), true).text(kSizesOfL, kClip).vae();
  EXPECT_EQ(message(other_text),
            form + "its UNet reads text 1024 wide; its text encoders write 768");
  Shapes depth_model;  // Stable Diffusion 2's, which reads a map of depths
  unet::Config five = unet_of_2();
  five.in_channels = 5;
  depth_model.unet(five, true).text(kSizesOfH, kOpenClipH).vae();
  EXPECT_EQ(message(depth_model),
            form +
                "its UNet has 5 input and 4 output channels for 4 latent ones; 4, 8 (to change "
                "pictures) or 9 (inpainting) go in");
  Shapes upscaler;
  upscaler.unet(unet_of_2(), true).add(kUnet + "label_emb.weight", {1000, 1280});
  EXPECT_EQ(message(upscaler), form + "its UNet is told a class, as that of an upscaler");
  Shapes told_more;
  unet::Config wide = kXl;
  wide.vector = 3072;
  told_more.unet(wide, true).text(kSizesOfL, kClipL).text(kSizesOfBigG, kBigG).vae();
  EXPECT_EQ(message(told_more), form +
                                    "its UNet is told 3072 numbers; 1280 of the text and 1536 or "
                                    "1280 about the picture are known");
}

}  // namespace
}  // namespace safelight::models::stable_diffusion
