// SDXL's base handing over to its refiner, against diffusers (tools/reference/record_refiner.py).
#include <gtest/gtest.h>

#include "diffusion/sampler.h"
#include "golden/golden_models/random_checkpoint.h"
#include "pipelines/denoiser_run.h"
#include "pipelines/registry.h"
#include "support/temporary_folder.h"
#include "weights/convert.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using testing::RandomCheckpoint;

// The reference computes in float32 as well.
constexpr double kLimit = 1e-7;

class RefinerGolden : public ::testing::Test {
 protected:
  RefinerGolden() {
    request_.prompt = "a photo of a cat";
    request_.steps = 6;
    request_.cfg_scale = 5;
    request_.width = 32;
    request_.height = 24;
    request_.refiner = "refiner";
  }

  std::unique_ptr<pipelines::LatentModel> load(const std::string& variant) {
    const auto folder = folder_.path() / variant;
    std::filesystem::create_directories(folder);
    auto model = pipelines::load_model(
        *engine_, RandomCheckpoint(variant, "families").write(folder, testing::Dialect::kOriginal));
    EXPECT_TRUE(model.ok()) << model.error().message;
    return std::move(*model);
  }

  static Tensor recorded(const std::string& name) {
    const auto file = weights::open_weights(std::string(SAFELIGHT_SOURCE_DIR) +
                                            "/tests/golden/data/refiner/refiner.safetensors");
    return weights::to_tensor(*file->find(name));
  }

  /// The latents of a run, and in how many of its steps the first model drew.
  Result<Tensor> run(const pipelines::BatchOptions& options) {
    pipelines::DenoiserRun denoiser(request_, options, {});
    if (Status ready = denoiser.begin(*base_); !ready) return ready.error();
    const diffusion::NoiseSchedule schedule = pipelines::run_schedule(base_->traits(), request_);
    diffusion::ImageNoise noise({.shape = {4, 3, 4}, .seeds = {11}});
    const diffusion::SampleInputs inputs{
        schedule, diffusion::Spacing::kUniform, request_.steps, {}, noise, {11}, {4, 3, 4}, {}};
    steps_of_base_ = 0;
    return diffusion::sample(
        *diffusion::find_sampler("Euler")->sampler, inputs,
        [&](const Tensor& x, double sigma, double t) { return denoiser(x, sigma, t); },
        [&](const diffusion::StepInfo&) {
          denoiser.step_done();
          if (&denoiser.model() == base_.get()) ++steps_of_base_;
          return Status();
        });
  }

  /// With a refiner that takes the place of the base in memory.
  pipelines::BatchOptions handing_over() {
    return {.load_refiner = [this]() -> Result<pipelines::RefinerModel> {
      refiner_ = load("refiner");
      ++loads_;
      return pipelines::RefinerModel{.model = refiner_.get(), .model_id = "refiner"};
    }};
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<engine::Engine> engine_ =
      std::move(*engine::make_engine("cpu", {.precision = engine::Precision::kF32, .threads = 2}));
  std::unique_ptr<pipelines::LatentModel> base_ = load("sdxl"), refiner_;
  request::Request request_;
  int64_t steps_of_base_ = 0;
  int loads_ = 0;
};

TEST_F(RefinerGolden, TheBaseAloneEqualsDiffusers) {
  const auto latents = run({});
  ASSERT_TRUE(latents.ok()) << latents.error().message;
  EXPECT_LE(nmse(*latents, recorded("alone")), kLimit);
}

TEST_F(RefinerGolden, HandingOverAtAFractionOfTheStepsEqualsDiffusers) {
  request_.refiner_switch_at = 0.5;
  const auto latents = run(handing_over());
  ASSERT_TRUE(latents.ok()) << latents.error().message;
  EXPECT_EQ(steps_of_base_, 3);
  EXPECT_EQ(loads_, 1);
  EXPECT_LE(nmse(*latents, recorded("refined")), kLimit);
  EXPECT_GT(nmse(*latents, recorded("alone")), 100 * kLimit);
}

TEST_F(RefinerGolden, HandingOverAtAFractionOfTheTimestepsEqualsDiffusers) {
  request_.refiner_switch_at = 0.9;
  request_.refiner_start = 0.5;
  const auto latents = run(handing_over());
  ASSERT_TRUE(latents.ok()) << latents.error().message;
  EXPECT_EQ(steps_of_base_, 3);
  EXPECT_LE(nmse(*latents, recorded("refined")), kLimit);
}

TEST_F(RefinerGolden, ItIsToldTheScoresOfTheRequest) {
  request_.refiner_switch_at = 0.5;
  request_.aesthetic_score = 1;
  const auto latents = run(handing_over());
  ASSERT_TRUE(latents.ok());
  EXPECT_GT(nmse(*latents, recorded("refined")), 2 * kLimit);
}

TEST_F(RefinerGolden, ARefinerOfOtherLatentsIsRefused) {
  request_.refiner_switch_at = 0;
  const auto latents = run({.load_refiner = [this]() -> Result<pipelines::RefinerModel> {
    refiner_ = load("sd2");
    return pipelines::RefinerModel{.model = refiner_.get(), .model_id = "sd2"};
  }});
  ASSERT_FALSE(latents.ok());
  EXPECT_EQ(latents.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace safelight
