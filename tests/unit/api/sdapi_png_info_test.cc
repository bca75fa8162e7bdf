#include "api/sdapi/png_info.h"

#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/file.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

TEST(PngInfo, ReadsTheGenerationText) {
  const std::string picture =
      base64_encode(*read_file(SAFELIGHT_SOURCE_DIR "/docs/images/apple.png"));
  for (const std::string& image : {picture, "data:image/png;base64," + picture}) {
    const Result<json::object> info = png_info(image);
    ASSERT_TRUE(info.ok()) << info.error().message;
    const std::string text(info->at("info").as_string());
    EXPECT_NE(text.find("Steps: "), std::string::npos) << text;
    EXPECT_EQ(info->at("items").at("parameters"), info->at("info"));
    const json::object parameters = info->at("parameters").as_object();
    for (const char* const key : {"Prompt", "Steps", "Sampler", "Seed", "CFG scale", "Size-1"}) {
      ASSERT_TRUE(parameters.contains(key)) << key;
      EXPECT_TRUE(parameters.at(key).is_string()) << key;
    }
    EXPECT_TRUE(text.starts_with(std::string(parameters.at("Prompt").as_string())));
  }
}

TEST(PngInfo, ReadsComfyUisGraph) {
  const std::string picture =
      base64_encode(*read_file(SAFELIGHT_SOURCE_DIR "/tests/golden/data/metadata/comfy.png"));
  const Result<json::object> info = png_info(picture);
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_EQ(info->at("info"),
            "a cat, ½ 一个\nNegative prompt: dog\nSteps: 25, Sampler: DPM++ 2M, Schedule type: "
            "Karras, CFG scale: 8, Seed: 156680208700286, Size: 512x768, Model: v1-5, RNG: CPU, "
            "Emphasis: ComfyUI, Prompt syntax: comfyui, Version: ComfyUI");
  EXPECT_TRUE(info->at("items").as_object().contains("prompt"));
  EXPECT_EQ(info->at("parameters").at("Steps"), "25");
}

TEST(PngInfo, RefusesWhatIsNoPicture) {
  for (const char* const image :
       {"", "data:image/png;base64,", "data:image/png", "%%%%", "aGVsbG8="}) {
    EXPECT_FALSE(png_info(image).ok()) << image;
  }
}

}  // namespace
}  // namespace safelight::api::sdapi
