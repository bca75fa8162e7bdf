#include "diffusion/sampler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "diffusion/brownian.h"

namespace safelight::diffusion {
namespace {

const std::vector<int64_t> kShape = {2, 2, 2};

const SamplerInfo& sampler(std::string_view name) { return *find_sampler(name)->sampler; }

/// A smooth model whose picture depends on x and on the noise level.
Result<Tensor> bent(const Tensor& x, double sigma, double timestep) {
  Tensor picture(x.shape);
  for (size_t i = 0; i < x.data.size(); ++i) {
    picture.data[i] = static_cast<float>(std::tanh(x.data[i] / (1 + sigma)) +
                                         std::cos(timestep / 50 + static_cast<double>(i)));
  }
  return picture;
}

/// A model that knows the one picture there is.
const Tensor& the_picture() {
  static const Tensor kPicture({1, 2, 2, 2}, {1, -2, 0.5F, 3, 0, 1.5F, -1, 0.25F});
  return kPicture;
}
Result<Tensor> certain(const Tensor&, double, double) { return the_picture(); }

struct Outcome {
  std::optional<Error> error;
  Tensor x;
  std::vector<double> sigmas;
  int64_t steps = 0, evaluations = 0;
};

struct Setting {
  Spacing spacing = Spacing::kAutomatic;
  int64_t steps = 8;
  SamplerOptions options = {};
  uint64_t seed = 42;
  Denoiser denoiser = bent;
};

Outcome run(const SamplerInfo& sampler, const Setting& setting = {}) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  ImageNoise noise({.shape = kShape, .seeds = {setting.seed}});
  const SampleInputs inputs{schedule, setting.spacing, setting.steps, setting.options,
                            noise,    {setting.seed},  kShape};
  Outcome outcome;
  const auto result = sample(
      sampler, inputs,
      [&](const Tensor& x, double sigma, double timestep) {
        ++outcome.evaluations;
        return setting.denoiser(x, sigma, timestep);
      },
      [&](const StepInfo& info) -> Status {
        EXPECT_EQ(info.step, static_cast<int64_t>(outcome.sigmas.size()));
        EXPECT_EQ(info.x.shape, info.denoised.shape);
        outcome.sigmas.push_back(info.sigma);
        outcome.steps = info.steps;
        return {};
      });
  if (result) {
    outcome.x = *result;
  } else {
    outcome.error = result.error();
  }
  return outcome;
}

bool all_finite(const Tensor& x) {
  return std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); });
}

void expect_sound(const SamplerInfo& info, Spacing spacing, int64_t steps) {
  SCOPED_TRACE(fmt::format("{}, {}, {} steps", info.name, diffusion::info(spacing).name, steps));
  const Outcome got = run(info, {.spacing = spacing, .steps = steps});
  ASSERT_FALSE(got.error);
  EXPECT_EQ(got.x.shape, (std::vector<int64_t>{1, 2, 2, 2}));
  EXPECT_TRUE(all_finite(got.x));
  EXPECT_EQ(got.steps, static_cast<int64_t>(got.sigmas.size()));
  // Restart goes up again.
  EXPECT_TRUE(info.name == "Restart" || std::is_sorted(got.sigmas.rbegin(), got.sigmas.rend()));
}

TEST(Sampler, FewStepsGiveFiniteNumbers) {
  for (const SamplerInfo& info : samplers()) {
    for (const SpacingInfo& spacing : spacings()) {
      for (const int64_t steps : {1, 2, 3}) expect_sound(info, spacing.spacing, steps);
    }
  }
}

TEST(Sampler, AsManyStepsAsLevelsGiveFiniteNumbers) {
  for (const SamplerInfo& info : samplers()) {
    for (const SpacingInfo& spacing : spacings()) {
      // Simple is the one that repeats levels; a Brownian tree of a thousand steps takes its time.
      if (!info.brownian || spacing.spacing == Spacing::kSimple)
        expect_sound(info, spacing.spacing, 1000);
    }
  }
}

TEST(Sampler, ExtremeOptionsGiveFiniteNumbers) {
  for (const SamplerInfo& info : samplers()) {
    const Outcome got = run(
        info, {.options = {.eta = 10, .s_churn = 100, .s_tmin = 0, .s_tmax = 1e6, .s_noise = 10}});
    EXPECT_TRUE(all_finite(got.x)) << info.name;
  }
}

TEST(Sampler, EvaluatesTheModelAsOftenAsItSays) {
  for (const SamplerInfo& info : samplers()) {
    const Outcome got = run(info, {.steps = 10});
    int64_t least = (got.steps - 1) * info.evaluations + 1, most = least + 1;
    if (info.name == "HeunPP2") least -= 1;      // its last step but one takes two
    if (info.name == "DPM adaptive") most += 1;  // ends above 0: its last step takes three as well
    if (info.name == "DPM fast") least = most = 10;  // what was asked for
    EXPECT_GE(got.evaluations, least) << info.name;
    EXPECT_LE(got.evaluations, most) << info.name;
  }
}

TEST(Sampler, ProgressOfAnAdaptiveRunGrowsToItsEnd) {
  for (const double eta : {0.0, 1.0}) {
    double before = 0;
    const NoiseSchedule schedule = NoiseSchedule::sd1();
    ImageNoise noise({.shape = kShape, .seeds = {1}});
    const SampleInputs inputs{schedule, Spacing::kAutomatic, 8, {.eta = eta}, noise, {1}, kShape};
    const auto result =
        sample(sampler("DPM adaptive"), inputs, bent, [&](const StepInfo& info) -> Status {
          EXPECT_LE(info.steps, info.step + 1 + inputs.steps);
          const double done = static_cast<double>(info.step + 1) / static_cast<double>(info.steps);
          EXPECT_GT(done, before);
          EXPECT_LE(done, 1);
          before = done;
          return {};
        });
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(before, 1);
  }
}

TEST(Sampler, AdaptiveStepsEndWhereTheModelIsBroken) {
  const auto broken = [](const Tensor& x, double, double) -> Result<Tensor> {
    Tensor picture(x.shape);
    for (float& value : picture.data) value = std::nanf("");
    return picture;
  };
  const Outcome got = run(sampler("DPM adaptive"), {.denoiser = broken});
  ASSERT_TRUE(got.error);
  EXPECT_NE(got.error->message.find("DPM adaptive finds no step size"), std::string::npos);
  const auto jumping = [](const Tensor& x, double, double t) -> Result<Tensor> {
    Tensor picture(x.shape);
    for (float& value : picture.data) value = std::fmod(t * 1e4, 2) < 1 ? 1e4F : -1e4F;
    return picture;
  };
  const Outcome bounded = run(sampler("DPM adaptive"), {.denoiser = jumping});
  EXPECT_LE(bounded.evaluations, 7000);
}

/// The picture of data that is normal with spread 1 at sigma, whose flow of probability is known:
/// x falls as sqrt(1 + sigma^2).
Result<Tensor> normal_data(const Tensor& x, double sigma, double) {
  Tensor picture = x;
  for (float& value : picture.data) value = static_cast<float>(value / (1 + sigma * sigma));
  return picture;
}

/// How far a run is from the known solution, relative.
double flow_error(const SamplerInfo& info, int64_t steps) {
  SamplerOptions options{.eta = 0};
  const Outcome got = run(info, {.spacing = Spacing::kKlOptimal,
                                 .steps = steps,
                                 .options = options,
                                 .denoiser = normal_data});
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  ImageNoise noise({.shape = kShape, .seeds = {42}});
  Tensor want = noise.first();
  const double high = schedule.sigma_max(), low = schedule.sigma_min();
  const double factor = high * std::sqrt((1 + low * low) / (1 + high * high));
  for (float& value : want.data) value = static_cast<float>(value * factor);
  return std::sqrt(nmse(got.x, want));
}

TEST(Sampler, ConvergesInItsOrder) {
  const std::map<std::string_view, double> orders = {{"Euler", 1},         {"Heun", 2},
                                                     {"DPM2", 2},          {"DPM++ 2M", 2},
                                                     {"Res Multistep", 2}, {"Exponential Heun", 2},
                                                     {"SEEDS 2", 1.9},     {"SEEDS 3", 2.9},
                                                     {"IPNDM", 2},         {"SA Solver", 2.5}};
  for (const auto& [name, order] : orders) {
    const double coarse = flow_error(sampler(name), 40), fine = flow_error(sampler(name), 80);
    EXPECT_LE(coarse, 0.2) << name;
    // Where float32 is all that is left, nothing falls any more.
    EXPECT_TRUE(fine < 1e-5 || std::log2(coarse / fine) > order - 0.3)
        << name << ": " << coarse << ", " << fine;
  }
}

TEST(Sampler, RefusesNumbersThatMakeNoRun) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  const auto refusal = [&](int64_t steps, const SamplerOptions& options,
                           const SigmaOptions& sigma_options) -> std::string {
    ImageNoise noise({.shape = kShape, .seeds = {1}});
    SampleInputs inputs{schedule, Spacing::kKarras, steps, options, noise, {1}, kShape};
    inputs.sigma_options = sigma_options;
    const auto result =
        sample(sampler("Euler"), inputs, bent, [](const StepInfo&) { return Status(); });
    if (result) return "";
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    return result.error().message;
  };
  EXPECT_EQ(refusal(5, {}, {}), "");
  EXPECT_EQ(refusal(0, {}, {}), "steps is 0; at least 1 is needed");
  EXPECT_NE(refusal(5, {.eta = nan}, {}), "");
  EXPECT_NE(refusal(5, {.s_churn = -1}, {}), "");
  EXPECT_NE(refusal(5, {.s_tmax = nan}, {}), "");
  EXPECT_NE(refusal(5, {.s_noise = infinity}, {}), "");
  EXPECT_EQ(refusal(5, {}, {.sigma_min = 5, .sigma_max = 2}),
            "sigma_min is 5 and sigma_max 2; sigma_min must be the lower one (0 for the model's "
            "own, 0.0291675 and 14.6146)");
  EXPECT_NE(refusal(5, {}, {.sigma_min = 20}), "");
  EXPECT_NE(refusal(5, {}, {.sigma_max = 0.01}), "");
  EXPECT_NE(refusal(5, {}, {.sigma_min = nan}), "");
  EXPECT_NE(refusal(5, {}, {.rho = infinity}), "");
  EXPECT_EQ(refusal(5, {}, {.rho = 0.01}),
            "rho is 0.01; 0.1 to 100 is possible, or 0 for the schedule's own");
  EXPECT_NE(refusal(5, {}, {.beta_alpha = 0}), "");
}

TEST(Sampler, OddOptionsOfASpacingGiveFiniteNumbers) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const SigmaOptions& options :
       {SigmaOptions{.sigma_min = 1e-3, .sigma_max = 5000, .rho = 0.1},
        SigmaOptions{.sigma_min = 1, .sigma_max = 1.001, .rho = 100},
        SigmaOptions{.beta_alpha = 0.01, .beta_beta = 0.01},
        SigmaOptions{.aligned = AlignedSteps::kSdxl}}) {
    for (const SpacingInfo& spacing : spacings()) {
      if (spacing.spacing == Spacing::kAutomatic) continue;
      for (const auto* name : {"Euler", "DPM++ 2M SDE", "ER SDE", "SA Solver", "IPNDM_V", "DEIS",
                               "DPM adaptive", "Restart"}) {
        for (const int64_t steps : {1, 2, 3, 24}) {
          ImageNoise noise({.shape = kShape, .seeds = {1}});
          SampleInputs inputs{schedule, spacing.spacing, steps, {}, noise, {1}, kShape};
          inputs.sigma_options = options;
          const auto result =
              sample(sampler(name), inputs, bent, [](const StepInfo&) { return Status(); });
          ASSERT_TRUE(result.ok()) << result.error().message;
          EXPECT_TRUE(all_finite(*result)) << name << ", " << spacing.name << ", " << steps;
        }
      }
    }
  }
}

TEST(Sampler, DiscardsThePenultimateSigmaWhenTold) {
  const auto levels = [](const char* name, std::optional<bool> discard) {
    return run(sampler(name),
               {.spacing = Spacing::kKarras, .options = {.discard_penultimate = discard}})
        .sigmas;
  };
  EXPECT_EQ(levels("Euler", std::nullopt), levels("Euler", false));
  EXPECT_EQ(levels("DPM2", std::nullopt), levels("DPM2", true));
  EXPECT_EQ(levels("DPM2", false), levels("Euler", false));
  EXPECT_EQ(levels("DPM2", true), levels("Euler", true));
  EXPECT_GT(levels("Euler", true).back(), levels("Euler", false).back());
  EXPECT_EQ(levels("Euler", true).size(), levels("Euler", false).size());
}

TEST(Sampler, CfgPlusPlusGoesOnWithTheUnguidedNoise) {
  for (const SamplerInfo& info : samplers()) {
    if (!info.uses_unguided) continue;
    const Tensor without = run(info).x;
    const NoiseSchedule schedule = NoiseSchedule::sd1();
    ImageNoise noise({.shape = kShape, .seeds = {42}});
    SampleInputs inputs{schedule, Spacing::kAutomatic, 8, {}, noise, {42}, kShape};
    const Tensor zero(the_picture().shape);
    inputs.unguided = [&]() -> const Tensor& { return zero; };
    const auto result = sample(info, inputs, bent, [](const StepInfo&) { return Status(); });
    ASSERT_TRUE(result.ok());
    EXPECT_GT(nmse(*result, without), 1e-3) << info.name;
  }
}

TEST(Sampler, EndsAtThePictureOfACertainModel) {
  for (const SamplerInfo& info : samplers()) {
    if (info.automatic == Spacing::kAutomatic || info.name == "LCM") continue;  // not down to 0
    for (const SpacingInfo& spacing : spacings()) {
      if (spacing.spacing == Spacing::kKlOptimal) continue;
      const Outcome got = run(info, {.spacing = spacing.spacing, .denoiser = certain});
      // Weights of LMS are large where steps grow, and so is what rounding leaves.
      const double limit = info.name == "LMS" ? 1e-5 : 1e-10;
      EXPECT_LE(nmse(got.x, the_picture()), limit) << info.name << ", " << spacing.name;
    }
  }
}

TEST(Sampler, StopsWithTheModelsError) {
  for (const SamplerInfo& info : samplers()) {
    for (const int64_t good : {0, 1, 2, 5}) {
      int64_t calls = 0;
      const Outcome got =
          run(info, {.denoiser = [&](const Tensor& x, double s, double t) {
                return calls++ < good ? bent(x, s, t) : Error{ErrorCode::kOutOfMemory, "full"};
              }});
      ASSERT_TRUE(got.error) << info.name;
      EXPECT_EQ(got.error->message, "full");
      EXPECT_EQ(got.evaluations, good + 1) << info.name;
    }
  }
}

TEST(Sampler, StopsWithTheCallbacksError) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const SamplerInfo& info : samplers()) {
    ImageNoise noise({.shape = kShape, .seeds = {1}});
    const SampleInputs inputs{schedule, Spacing::kAutomatic, 8, {}, noise, {1}, kShape};
    int64_t last = -1;
    const auto result = sample(info, inputs, bent, [&](const StepInfo& step) -> Status {
      last = step.step;
      if (step.step == 2) return Error{ErrorCode::kCancelled, "stopped"};
      return {};
    });
    ASSERT_FALSE(result.ok()) << info.name;
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(last, 2) << info.name;
  }
}

TEST(Sampler, WithoutNoiseAncestralEulerIsEuler) {
  EXPECT_LE(nmse(run(sampler("Euler a"), {.options = {.eta = 0}}).x, run(sampler("Euler")).x),
            1e-12);
}

TEST(Sampler, WithoutNoiseTheSdeOf2MIs2M) {
  const Setting setting{.spacing = Spacing::kKarras, .options = {.eta = 0}};
  EXPECT_LE(nmse(run(sampler("DPM++ 2M SDE"), setting).x, run(sampler("DPM++ 2M"), setting).x),
            1e-12);
}

TEST(Sampler, BrownianNoiseComesFromTheSourceOfTheRun) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const NoiseSource source : {NoiseSource::kCpu, NoiseSource::kNv}) {
    ImageNoise noise({.shape = kShape, .seeds = {7}, .source = source});
    const SampleInputs inputs{schedule, Spacing::kKarras, 4, {}, noise, {7}, kShape};
    std::vector<Tensor> x;
    const auto end = sample(sampler("DPM++ 2M SDE"), inputs, certain, [&](const StepInfo& info) {
      x.push_back(info.x);
      return Status();
    });
    ASSERT_TRUE(end.ok());
    const std::vector<float> levels = sigmas(Spacing::kKarras, 4, schedule);
    BrownianNoise motion(kShape, {7}, levels[3], levels[0], source);
    const Tensor added = motion(levels[0], levels[1]);
    const double left = std::pow(levels[1] / levels[0], 2), up = levels[1] * std::sqrt(1 - left);
    Tensor want = added;
    for (size_t i = 0; i < want.data.size(); ++i) {
      want.data[i] = static_cast<float>(left * x[0].data[i] + (1 - left) * the_picture().data[i] +
                                        up * added.data[i]);
    }
    EXPECT_LE(nmse(x[1], want), 1e-10);
  }
}

TEST(Sampler, ChurnsBetweenItsLimits) {
  for (const auto name : {"Euler", "Heun", "DPM2", "HeunPP2"}) {
    const SamplerInfo& info = sampler(name);
    const Tensor plain = run(info).x;
    EXPECT_GT(nmse(run(info, {.options = {.s_churn = 5}}).x, plain), 1e-6) << name;
    const SamplerOptions nowhere{.s_churn = 5, .s_tmin = 100};
    EXPECT_EQ(run(info, {.options = nowhere}).x.data, plain.data) << name;
    const SamplerOptions unlimited{.s_churn = 5, .s_tmax = 0};
    EXPECT_EQ(run(info, {.options = unlimited}).x.data,
              run(info, {.options = {.s_churn = 5}}).x.data)
        << name;
  }
}

TEST(Sampler, DdimDrawsNoiseOnlyWithEta) {
  const SamplerInfo& ddim = sampler("DDIM");
  EXPECT_EQ(run(ddim, {.options = {.eta = 0}}).x.data, run(ddim).x.data);
  EXPECT_GT(nmse(run(ddim, {.options = {.eta = 1}}).x, run(ddim).x), 1e-3);
}

TEST(Sampler, IgnoresASpacingItDoesNotUse) {
  for (const SamplerInfo& info : samplers()) {
    const Tensor own = run(info, {.spacing = Spacing::kAutomatic}).x;
    const Tensor other = run(info, {.spacing = Spacing::kSimple}).x;
    EXPECT_EQ(own.data != other.data, info.uses_spacing) << info.name;
  }
}

}  // namespace
}  // namespace safelight::diffusion
