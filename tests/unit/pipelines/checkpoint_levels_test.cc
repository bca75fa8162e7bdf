#include "pipelines/checkpoint_levels.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>

#include "support/temporary_folder.h"

namespace safelight::pipelines {
namespace {

using diffusion::Prediction;
using weights::TensorIndex;

constexpr const char* kPlain = "/nowhere/model.safetensors";

void add(TensorIndex& index, const std::string& name, float value) {
  ASSERT_TRUE(index.add(name, weights::view_of(Tensor({1}, {value})), "model").ok());
}

TEST(CheckpointLevels, NothingIsToldByAPlainFile) {
  const CheckpointLevels levels = told_levels({}, kPlain, "auto");
  EXPECT_FALSE(levels.prediction);
  EXPECT_FALSE(levels.zero_terminal_snr);
  EXPECT_EQ(levels.schedule(Prediction::kEpsilon).prediction(), Prediction::kEpsilon);
  EXPECT_NEAR(levels.schedule(Prediction::kV).sigma_max(), 14.6146, 1e-3);
}

TEST(CheckpointLevels, WhatIsAskedForCountsMost) {
  TensorIndex index;
  add(index, "v_pred", 0);
  add(index, "ztsnr", 0);
  EXPECT_EQ(told_levels(index, kPlain, "auto").prediction, Prediction::kV);
  EXPECT_EQ(told_levels(index, kPlain, "epsilon").prediction, Prediction::kEpsilon);
  EXPECT_EQ(told_levels(index, kPlain, "sample").prediction, Prediction::kSample);
  EXPECT_TRUE(told_levels(index, kPlain, "epsilon").zero_terminal_snr);
  EXPECT_EQ(told_levels(index, kPlain, "auto").text(), ", v-prediction, zero terminal SNR");
  EXPECT_EQ(told_levels({}, kPlain, "auto").text(), "");
  EXPECT_NEAR(told_levels(index, kPlain, "edm").schedule(Prediction::kEpsilon).sigma_max(), 80,
              1e-3);
}

TEST(CheckpointLevels, MarkersTellEdmToo) {
  TensorIndex playground, cos;
  add(playground, "edm_mean", 0);
  add(playground, "edm_std", 0);
  EXPECT_EQ(told_levels(playground, kPlain, "auto").prediction, Prediction::kEdm);
  add(cos, "edm_vpred.sigma_max", 100);
  const diffusion::NoiseSchedule schedule =
      told_levels(cos, kPlain, "auto").schedule(Prediction::kEpsilon);
  EXPECT_EQ(schedule.prediction(), Prediction::kV);
  EXPECT_NEAR(schedule.sigma_max(), 100, 1e-3);
  EXPECT_DOUBLE_EQ(schedule.input_scale(0), 1);
  TensorIndex absurd;  // a file may hold any number
  add(absurd, "edm_vpred.sigma_max", -1);
  EXPECT_NEAR(told_levels(absurd, kPlain, "auto").schedule(Prediction::kV).sigma_max(), 120, 1e-3);
}

TEST(CheckpointLevels, SchedulerMetadataAndName) {
  TensorIndex folder;
  folder.configs["scheduler"] = boost::json::parse(
      R"({"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "rescale_betas_zero_snr": true})");
  EXPECT_EQ(told_levels(folder, kPlain, "auto").prediction, Prediction::kV);
  EXPECT_GT(told_levels(folder, kPlain, "auto").schedule(Prediction::kEpsilon).sigma_max(), 4000);
  folder.configs["scheduler"] = boost::json::parse(
      R"({"_class_name": "EDMEulerScheduler", "prediction_type": "epsilon", "sigma_max": 60.0})");
  EXPECT_EQ(told_levels(folder, kPlain, "auto").prediction, Prediction::kEdm);
  EXPECT_NEAR(told_levels(folder, kPlain, "auto").edm->sigma_max, 60, 1e-9);
  TensorIndex file;
  file.metadata["modelspec.prediction_type"] = "v";
  EXPECT_EQ(told_levels(file, kPlain, "auto").prediction, Prediction::kV);
  EXPECT_EQ(told_levels({}, "/models/NoobAI-XL-Vpred-v1.0.safetensors", "auto").prediction,
            Prediction::kV);
  EXPECT_EQ(
      told_levels({}, "/models/playground-v2.5-1024px-aesthetic.safetensors", "auto").prediction,
      Prediction::kEdm);
}

TEST(CheckpointLevels, FilesBesideTheCheckpointCountMoreThanIt) {
  const test::TemporaryFolder folder;
  const auto write = [&](const char* name, const char* text) {
    std::ofstream(folder.path() / name) << text;
  };
  TensorIndex index;
  add(index, "v_pred", 0);
  write("a.yaml", "model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n");
  EXPECT_EQ(told_levels(index, folder.path() / "a.ckpt", "auto").prediction, Prediction::kEpsilon);
  write("b.yaml", "model:\n  params:\n    parameterization: \"v\"  # 768\n    ztsnr: true\n");
  EXPECT_EQ(told_levels({}, folder.path() / "b.ckpt", "auto").prediction, Prediction::kV);
  EXPECT_TRUE(told_levels({}, folder.path() / "b.ckpt", "auto").zero_terminal_snr);
  write("c.json", R"({"parameterization": "v"})");
  EXPECT_EQ(told_levels({}, folder.path() / "c.ckpt", "auto").prediction, Prediction::kV);
  write("d.yaml", "{{{ no yaml");
  EXPECT_EQ(told_levels(index, folder.path() / "d.ckpt", "auto").prediction, Prediction::kV);
}

/// A model whose network gives the same everywhere.
class ConstantModel : public LatentModel {
 public:
  explicit ConstantModel(float output) : output_(output) {}
  const ModelTraits& traits() const override { return traits_; }
  void set_traits(ModelTraits traits) override { traits_ = std::move(traits); }
  Result<Conditioning> encode(const std::vector<text::TokenChunk>&, const EncodeOptions&,
                              const engine::StopFlag*) override {
    return Conditioning{};
  }
  Result<std::unique_ptr<Predictor>> predictor(const std::vector<const Conditioning*>& texts,
                                               int64_t height, int64_t width, const PassOptions&,
                                               const engine::StopFlag*) override {
    EXPECT_EQ(texts.at(0)->context.shape, (std::vector<int64_t>{1, 2, 1024}));
    EXPECT_EQ(height * width, 64);
    return std::unique_ptr<Predictor>(std::make_unique<Constant>(output_));
  }
  Result<Tensor> decode(const Tensor&, const engine::StopFlag*) override { return Tensor(); }
  uint64_t bytes() const override { return 0; }

 private:
  struct Constant : Predictor {
    explicit Constant(float value) : output(value) {}
    Result<Tensor> operator()(const Tensor& x, double timestep, const engine::StopFlag*) override {
      EXPECT_EQ(timestep, 999);
      Tensor result(x.shape);
      std::fill(result.data.begin(), result.data.end(), output);
      return result;
    }
    void enter_step(int64_t) override {}
    float output;
  };
  float output_;
  ModelTraits traits_{.schedule = diffusion::NoiseSchedule::sd1()};
};

TEST(ProbePrediction, TellsWhatGivesTheNoiseBackFromWhatDoesNot) {
  ConstantModel noise(0.4F), v(-0.6F);
  EXPECT_EQ(*probe_prediction(noise, 1024), Prediction::kEpsilon);
  EXPECT_EQ(*probe_prediction(v, 1024), Prediction::kV);
}

}  // namespace
}  // namespace safelight::pipelines
