#include <gtest/gtest.h>

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

}  // namespace
}  // namespace safelight::pipelines
