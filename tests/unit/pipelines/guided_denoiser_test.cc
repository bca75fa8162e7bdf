// How guidance puts evaluations together, on a model that answers by formula.
#include "pipelines/guided_denoiser.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "diffusion/arithmetic.h"
#include "diffusion/guidance/zero_star.h"
#include "support/random_tensor.h"

namespace safelight::pipelines {
namespace {

using request::Request;

/// A call of the network.
struct Call {
  size_t conditionings;
  bool perturbed;
  bool operator==(const Call&) const = default;
};

/// What the formula's network predicts for a text of `words` words.
Tensor predicted(const Tensor& x, double words, bool perturbed) {
  Tensor output = x;
  const double factor = (perturbed ? 0.4 : 0.7) + 0.2 * words;
  for (float& value : output.data) value = static_cast<float>(factor * value + 0.1 * words);
  return output;
}

class FormulaPredictor : public Predictor {
 public:
  FormulaPredictor(std::vector<double> words, const PassOptions& options, std::vector<Call>& calls)
      : words_(std::move(words)), perturbed_(!options.perturbed.empty()), calls_(calls) {}
  Result<Tensor> operator()(const Tensor& x, double, const engine::StopFlag*) override {
    calls_.push_back({words_.size(), perturbed_});
    Tensor output(x.shape);
    const int64_t size = x.size() / x.shape[0];
    for (size_t i = 0; i < words_.size(); ++i) {
      const auto at = static_cast<int64_t>(i) * size;
      const Tensor one({size}, std::vector<float>(x.begin() + at, x.begin() + at + size));
      const Tensor gave = predicted(one, words_[i], perturbed_);
      std::copy(gave.begin(), gave.end(), output.begin() + at);
    }
    return output;
  }
  void enter_step(int64_t) override {}
  /// All of it is looked at.
  Tensor attention_map() const override {
    const auto count = static_cast<int64_t>(words_.size());
    return {{count, 1, 1}, std::vector<float>(words_.size(), 2.0F)};
  }

 private:
  std::vector<double> words_;
  bool perturbed_;
  std::vector<Call>& calls_;
};

class FormulaModel : public LatentModel {
 public:
  std::vector<Call> calls;
  ModelTraits own{.self_attentions = {.down = 2, .middle = 1, .up = 3},
                  .schedule = diffusion::NoiseSchedule::sd1()};

  const ModelTraits& traits() const override { return own; }
  void set_traits(ModelTraits) override {}
  Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks, const EncodeOptions&,
                              const engine::StopFlag*) override {
    const auto& tokens = chunks[0].tokens;
    const auto end = std::find(tokens.begin(), tokens.end(), tokens.back());
    return Conditioning{.context = {{1, 1, 1}, {static_cast<float>(end - tokens.begin() - 1)}}};
  }
  Result<std::unique_ptr<Predictor>> predictor(
      const std::vector<const Conditioning*>& conditionings, int64_t, int64_t,
      const PassOptions& options, const engine::StopFlag*) override {
    std::vector<double> words;
    for (const Conditioning* each : conditionings) words.push_back(each->context.data[0]);
    return std::unique_ptr<Predictor>(std::make_unique<FormulaPredictor>(words, options, calls));
  }
  Result<Tensor> decode(const Tensor&, const engine::StopFlag*) override { return Tensor(); }
  uint64_t bytes() const override { return 0; }
};

class GuidedDenoiserTest : public ::testing::Test {
 protected:
  static constexpr double kTime = 500;
  static constexpr double kWords = 2;  // of the prompt; the negative prompt has one

  GuidedDenoiserTest() {
    request_.prompt = "red apple";
    request_.negative_prompt = "blue";
    request_.steps = 10;
  }

  /// The pictures of `steps` steps, each of the same x.
  std::vector<Tensor> run(int64_t steps = 1, int64_t evaluations = 1) {
    model_.calls.clear();
    const text::Vocabulary words;
    const auto prompts = PromptConditioning::encode({model_, nullptr, "", words}, request_);
    const auto guidance = GuidanceSettings::of(request_, model_.own);
    EXPECT_TRUE(guidance.ok()) << (guidance.ok() ? "" : guidance.error().message);
    GuidedDenoiser denoiser(model_, request_, *prompts,
                            {.pictures = 2,
                             .evaluations = evaluations,
                             .keeps_unguided = keeps_unguided_,
                             .guidance = *guidance});
    std::vector<Tensor> pictures;
    for (int64_t step = 0; step < steps; ++step) {
      for (int64_t i = 0; i < evaluations; ++i) pictures.push_back(*denoiser(x_, sigma_, time_));
      denoiser.step_done();
    }
    if (keeps_unguided_) unguided_ = denoiser.unguided();
    return pictures;
  }

  Tensor output(double words, bool perturbed = false) const {
    return predicted(diffusion::scaled(x_, schedule().input_scale(sigma_)), words, perturbed);
  }
  Tensor seen(const Tensor& output) const { return schedule().denoised(x_, output, sigma_); }
  const diffusion::NoiseSchedule& schedule() const { return model_.own.schedule; }
  std::string refusal() const {
    const auto guidance = GuidanceSettings::of(request_, model_.own);
    return guidance ? "" : guidance.error().message;
  }

  FormulaModel model_;
  Request request_;
  bool keeps_unguided_ = false;
  double time_ = kTime, sigma_ = schedule().sigma(kTime);
  Tensor x_ = testing::random_tensor({2, 4, 8, 8}, 3), unguided_;
};

constexpr double kSame = 1e-10;

TEST_F(GuidedDenoiserTest, GuidesByBothPromptsAtOnce) {
  EXPECT_LE(nmse(run()[0], seen(diffusion::guided(output(1), output(kWords), 7))), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}}));
  request_.cfg_scale = 1;
  EXPECT_LE(nmse(run()[0], seen(output(kWords))), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}}));
}

TEST_F(GuidedDenoiserTest, LeavesTheNegativePromptOut) {
  request_.guidance_start = 0.1;
  request_.guidance_end = 0.3;
  run(4);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}, {4, false}, {4, false}, {2, false}}));
  request_.guidance_start = 0;
  request_.guidance_end = 1;
  request_.skip_early_cond = 0.15;
  run(3);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}, {2, false}, {4, false}}));
  request_.skip_early_cond = 0;
  request_.s_min_uncond = sigma_ * 1.01;
  run(2, 2);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}, {2, false}, {4, false}, {2, false}}));
  request_.s_min_uncond_all = "on";
  run(2);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}, {2, false}}));
}

TEST_F(GuidedDenoiserTest, ZeroStarScalesTheNegativePrediction) {
  request_.guidance = "zero-star";
  request_.zero_init_steps = 1;
  const std::vector<Tensor> pictures = run(2);
  EXPECT_EQ(pictures[0].data, x_.data) << "no noise is predicted";
  EXPECT_LE(nmse(pictures[1], seen(diffusion::zero_star_guided(output(1), output(kWords), 7))),
            kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}}));
}

TEST_F(GuidedDenoiserTest, ProjectedAndThresholdedActOnPictures) {
  const Tensor uncond = seen(output(1)), cond = seen(output(kWords));
  request_.guidance = "apg";
  request_.apg_momentum = 0.5;
  diffusion::ProjectedGuidance projected({.momentum = 0.5, .threshold = 15});
  for (const Tensor& picture : run(2)) EXPECT_LE(nmse(picture, projected(uncond, cond, 7)), kSame);
  request_.guidance = "dynamic-threshold";
  request_.dynthres_mimic_scale = 3;
  request_.dynthres_cfg_mode = "linear-down";
  const std::vector<Tensor> pictures = run(10);
  for (const int64_t step : {0, 9}) {
    EXPECT_LE(nmse(pictures[static_cast<size_t>(step)],
                   diffusion::threshold_guided(
                       uncond, cond, 7,
                       {.mimic_scale = 3, .cfg_curve = diffusion::ScaleCurve::kLinearDown},
                       static_cast<double>(step) / 9)),
              kSame)
        << step;
  }
  request_.cfg_scale = 1;
  run();
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}})) << "it changes contrast at 1 as well";
}

TEST_F(GuidedDenoiserTest, PerturbedAttentionPushesAway) {
  request_.pag_scale = 3;
  const Tensor cfg = diffusion::guided(output(1), output(kWords), 7);
  const auto pushed = [&](const Tensor& from, double scale) {
    return diffusion::sum({{1, from}, {scale, output(kWords)}, {-scale, output(kWords, true)}});
  };
  EXPECT_LE(nmse(run()[0], seen(pushed(cfg, 3))), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}, {2, true}}));
  request_.cfg_rescale = 0.5;
  EXPECT_LE(nmse(run()[0], seen(diffusion::rescaled(pushed(cfg, 3), output(kWords), 0.5))), kSame);
  request_.cfg_rescale = 0;
  request_.pag_adaptive = 0.004;
  EXPECT_LE(nmse(run()[0], seen(pushed(cfg, 1))), kSame);
  request_.pag_adaptive = 0.01;
  run();
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}})) << "a scale of 0 costs nothing";
  request_.pag_adaptive = 0;
  request_.cfg_scale = 1;
  EXPECT_LE(nmse(run()[0], seen(pushed(output(kWords), 3))), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}, {2, true}}));
  request_.guidance = "apg";
  request_.cfg_scale = 4;
  diffusion::ProjectedGuidance projected({.momentum = -0.5, .threshold = 15});
  const Tensor want = diffusion::sum({{1, projected(seen(output(1)), seen(output(kWords)), 4)},
                                      {3, seen(output(kWords))},
                                      {-3, seen(output(kWords, true))}});
  EXPECT_LE(nmse(run()[0], want), kSame);
}

TEST_F(GuidedDenoiserTest, SelfAttentionPushesAwayFromTheBlur) {
  request_.sag_scale = 0.75;
  const auto pushed = [&](const Tensor& picture, double words) {
    const Tensor clear = seen(output(words)),
                 worse = diffusion::degraded(clear, Tensor({2, 1, 1}, {2, 2}), {}),
                 noisy = diffusion::sum({{1, worse}, {1, x_}, {-1, clear}});
    const Tensor again = schedule().denoised(
        noisy, predicted(diffusion::scaled(noisy, schedule().input_scale(sigma_)), words, false),
        sigma_);
    return diffusion::sum({{1, picture}, {0.75, worse}, {-0.75, again}});
  };
  EXPECT_LE(nmse(run()[0], pushed(seen(diffusion::guided(output(1), output(kWords), 7)), 1)),
            kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}, {2, false}}));
  model_.own.schedule = diffusion::NoiseSchedule::sd1(diffusion::Prediction::kV);
  EXPECT_LE(nmse(run()[0], pushed(seen(diffusion::guided(output(1), output(kWords), 7)), 1)), kSame)
      << "for a model that predicts v";
  request_.cfg_scale = 1;
  EXPECT_LE(nmse(run()[0], pushed(seen(output(kWords)), kWords)), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}, {2, false}}));
  request_.guidance_end = 0;
  run();
  EXPECT_EQ(model_.calls, (std::vector<Call>{{2, false}})) << "outside of the interval";
}

TEST_F(GuidedDenoiserTest, PartsJoinedByAndStandForThePrompt) {
  request_.prompt = "red apple AND green apple tree :0.5";
  const auto joined = [&](double base, bool perturbed) {
    return diffusion::composed(output(base),
                               {{1, output(2, perturbed)}, {0.5, output(3, perturbed)}});
  };
  const Tensor cfg = diffusion::guided(output(1), joined(1, false), 7);
  EXPECT_LE(nmse(run()[0], seen(cfg)), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{6, false}}));
  request_.pag_scale = 3;
  const Tensor pushed = diffusion::sum({{1, cfg}, {3, joined(1, false)}, {-3, joined(1, true)}});
  EXPECT_LE(nmse(run()[0], seen(pushed)), kSame);
  EXPECT_EQ(model_.calls, (std::vector<Call>{{6, false}, {4, true}}));
  request_.pag_scale = 0;
  request_.cfg_scale = 1;
  EXPECT_LE(nmse(run()[0], seen(joined(1, false))), kSame) << "the weights are 1.5 together";
  EXPECT_EQ(model_.calls, (std::vector<Call>{{6, false}}));
  request_.guidance_end = 0;
  EXPECT_LE(nmse(run()[0], seen(joined(2, false))), kSame) << "from the first part on";
  EXPECT_EQ(model_.calls, (std::vector<Call>{{4, false}}));
}

TEST_F(GuidedDenoiserTest, KeepsTheUnguidedPicture) {
  keeps_unguided_ = true;
  request_.pag_scale = 2;
  request_.cfg_scale = 1;
  run();
  EXPECT_LE(nmse(unguided_, seen(output(1))), kSame) << "even at a scale of 1";
  request_.pag_scale = 0;
  request_.guidance_end = 0;
  const Tensor picture = run()[0];
  EXPECT_EQ(unguided_.data, picture.data);
}

TEST_F(GuidedDenoiserTest, RefusesWhatDoesNotGoTogether) {
  request_.pag_scale = 1;
  for (const char* layers : {"mid", "down,up", "d1 u0-2", " M0 ", "u"}) {
    request_.pag_layers = layers;
    EXPECT_EQ(refusal(), "") << layers;
  }
  for (const char* layers :
       {"", "d2", "u1-3", "u2-1", "middle", "d-1", "m0x", "d99999999999999999999"}) {
    request_.pag_layers = layers;
    EXPECT_NE(refusal().find("which has d0-1 m0 u0-2"), std::string::npos) << refusal();
  }
  request_.pag_scale = 0;
  EXPECT_EQ(refusal(), "") << "layers do not count then";
  EXPECT_EQ(*model_.own.self_attentions.find("u1,d0 u0-1 mid"), (std::vector<int64_t>{0, 2, 3, 4}));
  request_.cfg_rescale = 0.5;
  for (const char* guidance : {"apg", "dynamic-threshold"}) {
    request_.guidance = guidance;
    EXPECT_NE(refusal().find("only 0 is possible"), std::string::npos);
  }
  request_.guidance = "zero-star";
  EXPECT_EQ(refusal(), "");
  request_.sag_scale = 1;
  model_.own.self_attentions.middle = 0;
  EXPECT_NE(refusal().find("no self-attention in its middle"), std::string::npos);
}

}  // namespace
}  // namespace safelight::pipelines
