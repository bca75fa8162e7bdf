#include <gtest/gtest.h>

#include "pipelines/sampler_plan.h"
#include "pipelines/text_to_image.h"

namespace safelight::pipelines {
namespace {

ModelTraits traits() {
  return {.family = "Stable Diffusion 1.x", .schedule = diffusion::NoiseSchedule::sd1()};
}

TEST(CheckRequest, TakesWhatCanBeDrawn) {
  EXPECT_TRUE(check_request(request::Request(), traits()).ok());
}

TEST(CheckRequest, RefusesModelsThatNeedAPicture) {
  ModelTraits inpainting = traits();
  inpainting.family = "Stable Diffusion 1.x inpainting";
  inpainting.picture_channels = 5;
  const Status status = check_request(request::Request(), inpainting);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(status.error().message,
            "this model (Stable Diffusion 1.x inpainting) draws on a picture that it is given, not "
            "from text alone; this build has text to image only. Choose another model");
}

TEST(CheckRequest, RefusesMoreClipSkipThanThereAreLayers) {
  request::Request request;
  request.clip_skip = 13;
  const Status status = check_request(request, traits());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

TEST(UseListedNames, WritesSamplersAndSchedulesAsEverybodyReadsThem) {
  const auto listed = [](const std::string& sampler, const std::string& schedule) {
    request::Request request;
    request.sampler = sampler;
    request.schedule = schedule;
    use_listed_names(request);
    return request.sampler + ", " + request.schedule;
  };
  EXPECT_EQ(listed("k_euler_a", "sgm_uniform"), "Euler a, SGM Uniform");
  EXPECT_EQ(listed("k_dpmpp_2m_ka", "Automatic"), "DPM++ 2M, Karras");
  EXPECT_EQ(listed("dpm++ 2m karras", "align your steps"), "DPM++ 2M, Align Your Steps");
  EXPECT_EQ(listed("DPM++ 2M", "automatic"), "DPM++ 2M, Automatic");
  EXPECT_EQ(listed("no sampler", "karras"), "no sampler, karras");
}

}  // namespace
}  // namespace safelight::pipelines
