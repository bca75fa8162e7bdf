// Our names against those that diffusers' conversion gives (recorded by
// tools/reference/record_sd1.py), and files that are no Stable Diffusion 1.x.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "models/names/diffusers_names.h"
#include "models/stable_diffusion/stable_diffusion.h"

namespace safelight::models {
namespace {

namespace json = boost::json;

std::string without(const std::string& name, std::string_view prefix) {
  return name.substr(prefix.size());
}

void compare(const std::string& variant, int64_t blocks, int64_t levels) {
  const auto data =
      parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/sd1/" +
                            variant + "/checkpoint.json"));
  ASSERT_TRUE(data.ok());
  int compared = 0;
  for (const auto& [key, value] : data->at("diffusers").as_object()) {
    const std::string theirs = key, original(value.as_string());
    if (theirs.starts_with("unet.")) {
      EXPECT_EQ(names::unet_name_in_diffusers(without(original, "model.diffusion_model."), blocks),
                without(theirs, "unet."));
      ++compared;
    }
    if (theirs.starts_with("vae.")) {
      EXPECT_EQ(
          names::autoencoder_name_in_diffusers(without(original, "first_stage_model."), levels),
          without(theirs, "vae."));
      ++compared;
    }
  }
  EXPECT_GT(compared, 400);
}

TEST(DiffusersNames, EqualDiffusersConversion) {
  compare("wide", 2, 4);
  compare("small", 1, 4);
}

TEST(DiffusersNames, LeaveWhatTheyDoNotKnow) {
  EXPECT_EQ(names::unet_name_in_diffusers("input_blocks.x.0.weight", 2), "input_blocks.x.0.weight");
  EXPECT_EQ(names::unet_name_in_diffusers("output_blocks.", 2), "output_blocks.");
  EXPECT_EQ(names::autoencoder_name_in_diffusers("decoder.up.x.weight", 4), "decoder.up.x.weight");
}

/// An index of zeros.
weights::TensorIndex index_of(
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors) {
  weights::TensorIndex index;
  for (const auto& [name, shape] : tensors) {
    EXPECT_TRUE(index.add(name, weights::view_of(Tensor(shape)), "model.safetensors").ok());
  }
  return index;
}

TEST(StableDiffusion, RefusesOtherFilesWithWords) {
  EXPECT_FALSE(stable_diffusion::matches(index_of({})));
  EXPECT_FALSE(stable_diffusion::matches(index_of({{"lora_unet_x.lora_down.weight", {4, 4}}})));
  EXPECT_EQ(stable_diffusion::bind(index_of({})).error().code, ErrorCode::kUnsupported);
  const auto only_begin =
      index_of({{"model.diffusion_model.input_blocks.0.0.weight", {64, 4, 3, 3}},
                {"cond_stage_model.transformer.text_model.final_layer_norm.weight", {64}}});
  EXPECT_EQ(stable_diffusion::bind(only_begin).error().message,
            "tensor 'model.diffusion_model.out.2.weight' is missing");
}

}  // namespace
}  // namespace safelight::models
