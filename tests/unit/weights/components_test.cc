#include "weights/components.h"

#include <gtest/gtest.h>

#include <cstring>

namespace safelight::weights {
namespace {

/// An index whose tensors are told apart by their first element.
TensorIndex index_of(const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
                     float value, const std::string& file) {
  TensorIndex index;
  for (const auto& [name, shape] : tensors) {
    Tensor tensor(shape);
    if (!tensor.data.empty()) tensor.data[0] = value;
    EXPECT_TRUE(index.add(name, view_of(std::move(tensor)), file).ok());
  }
  index.identity = file + "-hash";
  return index;
}

TensorIndex sdxl() {
  return index_of(
      {{"model.diffusion_model.input_blocks.0.0.weight", {4, 4, 3, 3}},
       {"model.diffusion_model.label_emb.0.0.weight", {4, 2816}},
       {"model.diffusion_model.out.2.weight", {4, 4, 3, 3}},
       {"conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
        {1, 768}},
       {"conditioner.embedders.1.model.token_embedding.weight", {1, 1280}},
       {"first_stage_model.decoder.conv_in.weight", {4}},
       {"first_stage_model.decoder.up.0.block.0.norm1.weight", {4}}},
      1, "base");
}

float first(const TensorIndex& index, const std::string& name) {
  const TensorView* tensor = index.find(name);
  if (tensor == nullptr) return -1;
  float value = 0;
  std::memcpy(&value, tensor->data.data(), sizeof value);
  return value;
}

TEST(Components, AVaeTakesThePlaceOfTheModelsOwn) {
  TensorIndex model = sdxl();
  TensorIndex vae = index_of(
      {{"decoder.conv_in.weight", {4}}, {"decoder.up.0.block.0.norm1.weight", {4}}}, 2, "vae");
  ASSERT_TRUE(use_network(model, vae, SeparateNetwork::kVae).ok());
  EXPECT_FALSE(model.contains("first_stage_model.decoder.conv_in.weight"));
  EXPECT_EQ(first(model, "vae.decoder.conv_in.weight"), 2);
  EXPECT_EQ(first(model, "model.diffusion_model.out.2.weight"), 1);
  EXPECT_EQ(model.identity_of("vae"), "vae-hash");
  EXPECT_EQ(model.identity_of("unet"), "base-hash");
  // Another one after it takes its place again, here from a whole checkpoint.
  ASSERT_TRUE(use_network(model, sdxl(), SeparateNetwork::kVae).ok());
  EXPECT_EQ(first(model, "vae.decoder.conv_in.weight"), 1);
  EXPECT_EQ(model.identity_of("vae"), "base-hash");
}

TEST(Components, AUnetAloneInAnybodysNames) {
  for (const std::string prefix : {"", "model.diffusion_model.", "diffusion_model."}) {
    TensorIndex model = sdxl();
    TensorIndex unet = index_of({{prefix + "input_blocks.0.0.weight", {4, 4, 3, 3}},
                                 {prefix + "label_emb.0.0.weight", {4, 2816}},
                                 {prefix + "out.2.weight", {4, 4, 3, 3}}},
                                2, "unet");
    ASSERT_TRUE(use_network(model, unet, SeparateNetwork::kUnet).ok()) << prefix;
    EXPECT_EQ(first(model, "unet.out.2.weight"), 2) << prefix;
    EXPECT_FALSE(model.contains("model.diffusion_model.out.2.weight")) << prefix;
  }
}

TEST(Components, TextEncodersFindTheirPlaceByWidth) {
  const std::string name = "token_embedding.weight";
  TensorIndex model = sdxl();
  TensorIndex l = index_of({{"text_model.embeddings." + name, {1, 768}},
                            {"text_model.encoder.layers.0.mlp.fc1.weight", {1}}},
                           2, "clip_l");
  TensorIndex g =
      index_of({{name, {1, 1280}}, {"transformer.resblocks.0.ln_1.weight", {1}}}, 3, "clip_g");
  ASSERT_TRUE(use_network(model, g, SeparateNetwork::kTextEncoder).ok());
  EXPECT_EQ(first(model, "text_encoder_2." + name), 3);
  EXPECT_FALSE(model.contains("conditioner.embedders.1.model." + name));
  EXPECT_EQ(first(model, "conditioner.embedders.0.transformer.text_model.embeddings." + name), 1);
  ASSERT_TRUE(use_network(model, l, SeparateNetwork::kTextEncoder).ok());
  EXPECT_EQ(first(model, "text_encoder.text_model.embeddings." + name), 2);
  EXPECT_EQ(first(model, "text_encoder_2." + name), 3);
  EXPECT_EQ(model.identity_of("text_encoder_2"), "clip_g-hash");
}

TEST(Components, BothTextEncodersOfAModelWithoutAny) {
  const std::string name = "token_embedding.weight";
  TensorIndex model =
      index_of({{"unet.input_blocks.0.0.weight", {4}}, {"unet.out.2.weight", {4}}}, 1, "unet");
  TensorIndex both =
      index_of({{"text_encoders.clip_l.transformer.text_model.embeddings." + name, {1, 768}},
                {"text_encoders.clip_g.transformer.text_model.embeddings." + name, {1, 1280}}},
               2, "clips");
  ASSERT_TRUE(use_network(model, both, SeparateNetwork::kTextEncoder).ok());
  EXPECT_EQ(first(model, "text_encoder.text_model.embeddings." + name), 2);
  EXPECT_EQ(first(model, "text_encoder_2.text_model.embeddings." + name), 2);
}

TEST(Components, AnotherFileIsRefusedByName) {
  TensorIndex model = sdxl();
  TensorIndex vae = index_of(
      {{"decoder.conv_in.weight", {4}}, {"decoder.up.0.block.0.norm1.weight", {4}}}, 2, "vae.pt");
  const Status used = use_network(model, vae, SeparateNetwork::kUnet);
  ASSERT_FALSE(used.ok());
  EXPECT_EQ(used.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(used.error().message, "vae.pt: holds no UNet; 'safelight inspect' tells what it is");
  EXPECT_EQ(first(model, "model.diffusion_model.out.2.weight"), 1);
}

}  // namespace
}  // namespace safelight::weights
