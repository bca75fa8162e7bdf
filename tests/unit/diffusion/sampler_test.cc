#include "diffusion/sampler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/text.h"
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
  EXPECT_TRUE(std::is_sorted(got.sigmas.rbegin(), got.sigmas.rend()));
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
    // A step to sigma 0 needs one evaluation; the first step of PLMS takes two.
    const int64_t least = (got.steps - 1) * info.evaluations + 1;
    EXPECT_GE(got.evaluations, least) << info.name;
    EXPECT_LE(got.evaluations, least + 1) << info.name;
  }
}

TEST(Sampler, EndsAtThePictureOfACertainModel) {
  for (const SamplerInfo& info : samplers()) {
    if (info.automatic == Spacing::kAutomatic || info.name == "LCM") continue;  // not down to 0
    for (const SpacingInfo& spacing : spacings()) {
      const Outcome got = run(info, {.spacing = spacing.spacing, .denoiser = certain});
      EXPECT_LE(nmse(got.x, the_picture()), 1e-10) << info.name << ", " << spacing.name;
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
      if (step.step == 3) return Error{ErrorCode::kCancelled, "stopped"};
      return {};
    });
    ASSERT_FALSE(result.ok()) << info.name;
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(last, 3) << info.name;
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
  for (const auto name : {"Euler", "Heun", "DPM2"}) {
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

TEST(FindSampler, ByNameAndAliasInAnyCase) {
  std::map<std::string, std::string_view> owners;
  const auto check = [&](std::string_view name, const SamplerInfo& info) {
    const auto found = find_sampler(name);
    ASSERT_TRUE(found.ok()) << name;
    EXPECT_EQ(found->sampler, &info) << name;
    EXPECT_FALSE(found->spacing) << name;
    EXPECT_TRUE(owners.emplace(ascii_lower(name), info.name).second) << name << " is named twice";
  };
  for (const SamplerInfo& info : samplers()) {
    check(info.name, info);
    for (std::string_view rest = info.aliases; !rest.empty();) {
      const size_t end = std::min(rest.find(','), rest.size());
      check(rest.substr(0, end), info);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  EXPECT_EQ(samplers().size(), 18U);
  EXPECT_EQ(find_sampler("  eULER A ")->sampler->name, "Euler a");
}

TEST(FindSampler, TakesAScheduleBehindTheName) {
  const auto expect = [](std::string_view text, std::string_view name, Spacing spacing) {
    const auto found = find_sampler(text);
    ASSERT_TRUE(found.ok()) << text;
    EXPECT_EQ(found->sampler->name, name) << text;
    EXPECT_EQ(found->spacing, spacing) << text;
  };
  expect("DPM++ 2M Karras", "DPM++ 2M", Spacing::kKarras);
  expect("dpm++ 2m sde heun exponential", "DPM++ 2M SDE Heun", Spacing::kExponential);
  expect("Euler SGM Uniform", "Euler", Spacing::kSgmUniform);
  expect("k_dpmpp_2m_sde_ka", "DPM++ 2M SDE", Spacing::kKarras);
  expect("k_dpmpp_3m_sde_exp", "DPM++ 3M SDE", Spacing::kExponential);
  expect("dpmpp_2m_sgm_uniform", "DPM++ 2M", Spacing::kSgmUniform);
  expect("DDIM DDIM", "DDIM", Spacing::kDdim);
}

TEST(FindSampler, NamesTheNearestOfAnUnknownOne) {
  const auto unknown = find_sampler("Eular");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(unknown.error().message, "sampler 'Eular' is unknown; did you mean 'Euler'?");
  EXPECT_EQ(find_sampler("DPM++ 2M Karas").error().message,
            "sampler 'DPM++ 2M Karas' is unknown; did you mean 'DPM++ 2M Karras'?");
  EXPECT_EQ(find_sampler("").error().message,
            "sampler '' is unknown; 'safelight samplers' lists them");
}

}  // namespace
}  // namespace safelight::diffusion
