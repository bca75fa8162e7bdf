#include "pipelines/recommended.h"

#include <gtest/gtest.h>

namespace safelight::pipelines {
namespace {

Recommended of_name(const std::string& name) {
  return recommended({}, "/models/" + name + ".safetensors");
}

TEST(Recommended, IsToldByWordsOfTheName) {
  struct Case {
    const char *name, *reason;
    int64_t steps;
  };
  for (const Case& known : std::initializer_list<Case>{
           {"sdxl_lightning_4step", "Lightning", 4},
           {"sdxl_lightning_8step", "Lightning", 8},
           {"juggernautXL_v9Rdphoto2Lightning", "Lightning", 4},
           {"Hyper-SDXL-1step-Unet", "Hyper", 1},
           {"realisticVisionV60B1_v51HyperVAE", "Hyper", 8},
           {"sd_xl_turbo_1.0_fp16", "Turbo", 4},
           {"sd_turbo", "Turbo", 4},
           {"DreamShaperXL_Turbo_v2_1", "Turbo", 4},
           {"lcm-ssd-1b", "LCM", 8},
           {"LCM_Dreamshaper_v7_4k", "LCM", 8},
       }) {
    const Recommended found = of_name(known.name);
    EXPECT_EQ(found.reason, known.reason) << known.name;
    EXPECT_EQ(found.steps, known.steps) << known.name;
    EXPECT_EQ(found.cfg_scale, 1) << known.name;
  }
  for (const char* name : {"v1-5-pruned-emaonly", "hyperRealism_v30", "hyper-realistic-v2",
                           "dreamshaper_8", "sd_xl_base_1.0", "stepsisters_4"}) {
    EXPECT_TRUE(of_name(name).reason.empty()) << name;
  }
  EXPECT_EQ(of_name("playground-v2.5-1024px-aesthetic.fp16").cfg_scale, 3);
}

TEST(Recommended, IsToldByMetadataWhereTheNameIsSilent) {
  weights::TensorIndex index;
  index.metadata["modelspec.architecture"] = "stable-diffusion-xl-turbo-v1";
  EXPECT_EQ(recommended(index, "/models/my.safetensors").reason, "Turbo");
  EXPECT_EQ(recommended(index, "/models/my_lightning.safetensors").reason, "Lightning");
}

TEST(Recommended, NeverTakesThePlaceOfWhatWasSaid) {
  const Recommended lightning = of_name("sdxl_lightning_4step");
  request::Request request;
  EXPECT_EQ(use_recommended(request, lightning), "4 steps, CFG scale 1, Euler, SGM Uniform");
  EXPECT_EQ(request.steps, 4);
  EXPECT_EQ(request.schedule, "SGM Uniform");
  // Again, nothing is left to say.
  EXPECT_EQ(use_recommended(request, of_name("sd_turbo")), "");

  // Even where it is the default that was said.
  request::Request said;
  ASSERT_TRUE(set_text(said, *request::find_field("steps"), "20").ok());
  ASSERT_TRUE(set_text(said, *request::find_field("sampler"), "DPM++ 2M").ok());
  said.cfg_scale = 2;
  EXPECT_EQ(use_recommended(said, lightning), "");
  EXPECT_EQ(said.steps, 20);
  EXPECT_EQ(said.cfg_scale, 2);
  // What was said goes along as JSON.
  const request::Request sent = *request::from_json(to_json(said, true));
  EXPECT_TRUE(request::said(sent, "steps"));
  EXPECT_FALSE(request::said(request::Request(), "steps"));
}

}  // namespace
}  // namespace safelight::pipelines
