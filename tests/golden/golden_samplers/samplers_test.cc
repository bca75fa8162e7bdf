// Every sampler x schedule against its reference
// (tools/reference/record_samplers.py and record_more_samplers.py).
#include "diffusion/sampler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "weights/convert.h"
#include "weights/safetensors.h"

namespace safelight::diffusion {
namespace {

constexpr uint64_t kSeed = 42;
constexpr double kLimit = 1e-6;

weights::TensorIndex open(std::string_view file) {
  return weights::open_safetensors(
             fmt::format("{}/tests/golden/data/samplers/{}", SAFELIGHT_SOURCE_DIR, file))
      .value();
}

/// What was recorded under a key, in either file.
std::optional<Tensor> recorded(const std::string& key) {
  static const std::array kFiles = {open("samplers.safetensors"),
                                    open("more_samplers.safetensors")};
  for (const weights::TensorIndex& file : kFiles) {
    if (const auto* found = file.find(key)) return weights::to_tensor(*found);
  }
  return std::nullopt;
}

/// The analytic model of record_samplers.py.
Result<Tensor> picture(const Tensor& x, double sigma, double t) {
  const double scale = 1 / std::sqrt(sigma * sigma + 1);
  const int64_t size = x.size() / x.shape[0];
  Tensor result(x.shape);
  for (int64_t b = 0; b < x.shape[0]; ++b) {
    const float* from = x.begin() + b * size;
    for (int64_t i = 0; i < size; ++i) {
      const double mixed = from[(i + size - 1) % size] + 0.5 * from[(i + size - 7) % size];
      const double pulled = 0.4 * std::tanh(mixed * scale) * (1 + 0.5 * std::cos(t / 40));
      result.data[static_cast<size_t>(b * size + i)] = static_cast<float>(
          from[i] * scale * scale + pulled + 1.2 * std::cos(t / 9 + static_cast<double>(i)));
    }
  }
  return result;
}

/// What it sees without its prompt.
Tensor unguided(const Tensor& x, double sigma, double t) {
  Tensor seen = *picture(x, sigma, t + 13);
  for (float& value : seen.data) value *= 0.8F;
  return seen;
}

struct Trace {
  std::vector<Tensor> x;  ///< at each step, and the result
  std::vector<double> sigma;
};

Trace run(const SamplerInfo& sampler, Spacing spacing, int64_t steps,
          const std::vector<uint64_t>& seeds = {kSeed}, const SamplerOptions& options = {}) {
  Tensor without;
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  ImageNoise noise({.shape = {4, 4, 4}, .seeds = seeds});
  SampleInputs inputs{schedule, spacing, steps, options, noise, seeds, {4, 4, 4}};
  inputs.unguided = [&]() -> const Tensor& { return without; };
  const auto denoise = [&](const Tensor& x, double sigma, double t) {
    without = unguided(x, sigma, t);
    return picture(x, sigma, t);
  };
  Trace trace;
  auto result = sample(sampler, inputs, denoise, [&](const StepInfo& info) -> Status {
    EXPECT_EQ(info.step, static_cast<int64_t>(trace.sigma.size()));
    trace.x.push_back(info.x);
    trace.sigma.push_back(info.sigma);
    return {};
  });
  EXPECT_TRUE(result.ok());
  trace.x.push_back(*result);
  return trace;
}

std::string key(const SamplerInfo& sampler, Spacing spacing, const std::string& what) {
  const std::string name = sampler.uses_spacing ? std::string(info(spacing).name) : "Automatic";
  return std::string(sampler.name) + "|" + name + "|" + what;
}

/// Row `i` of a recorded [n, 64] in the shape of x.
Tensor row(const Tensor& recorded_rows, size_t i, const Tensor& like) {
  Tensor tensor(like.shape);
  std::copy_n(recorded_rows.begin() + static_cast<int64_t>(i) * like.size(), like.size(),
              tensor.begin());
  return tensor;
}

/// Against all that was recorded of a run, or its first numbers.
double error_of(const Tensor& got, const Tensor& want) {
  return nmse(Tensor({want.size()}, {got.begin(), got.begin() + want.size()}),
              Tensor({want.size()}, want.data));
}

TEST(Samplers, EqualTheirReferencesAtEveryStep) {
  for (const SamplerInfo& sampler : samplers()) {
    for (const SpacingInfo& spacing : spacings()) {
      SCOPED_TRACE(key(sampler, spacing.spacing, ""));
      const auto x = recorded(key(sampler, spacing.spacing, "x"));
      const auto sigma = recorded(key(sampler, spacing.spacing, "sigma"));
      ASSERT_EQ(x.has_value(), sigma.has_value());
      ASSERT_TRUE(x || spacing.spacing != Spacing::kAutomatic);
      if (!x) continue;  // a schedule that is compared by itself, and by the result of 10 steps
      const Trace got = run(sampler, spacing.spacing, 20);
      ASSERT_EQ(static_cast<int64_t>(got.sigma.size()), sigma->size());
      ASSERT_EQ(static_cast<int64_t>(got.x.size()), x->shape[0]);
      // What DPM adaptive steps to comes of pictures, which are float32 here and float64 there.
      const double relative = sampler.name == "DPM adaptive" ? 1e-4 : 1e-5;
      for (size_t i = 0; i < got.sigma.size(); ++i)
        EXPECT_NEAR(got.sigma[i], sigma->data[i], relative * sigma->data[i]);
      for (size_t i = 0; i < got.x.size(); ++i)
        EXPECT_LE(nmse(got.x[i], row(*x, i, got.x[i])), kLimit) << "step " << i;
    }
  }
}

/// LCM's table has 50 levels, which the programs that have these schedules do not know.
bool is_unknown(const SamplerInfo& sampler, Spacing spacing) {
  return sampler.name == "LCM" && (spacing == Spacing::kTurbo || spacing == Spacing::kSdTurbo);
}

TEST(Samplers, EqualTheirReferencesInTenSteps) {
  for (const SamplerInfo& sampler : samplers()) {
    for (const SpacingInfo& spacing : spacings()) {
      SCOPED_TRACE(key(sampler, spacing.spacing, "10"));
      const auto want = recorded(key(sampler, spacing.spacing, "10"));
      ASSERT_EQ(want.has_value(), !is_unknown(sampler, spacing.spacing));
      if (!want) continue;
      EXPECT_LE(error_of(run(sampler, spacing.spacing, 10).x.back(), *want), kLimit);
    }
  }
}

/// The options that the recorders give a sampler, where it has any.
std::optional<SamplerOptions> recorded_options(const SamplerInfo& sampler) {
  for (const auto* name : {"Euler", "Heun", "DPM2", "HeunPP2"}) {
    if (sampler.name == name)
      return SamplerOptions{.s_churn = 4, .s_tmin = 0.5, .s_tmax = 8, .s_noise = 1.05};
  }
  if (sampler.name == "DDIM" || sampler.name == "DDIM CFG++") return SamplerOptions{.eta = 0.6};
  if (sampler.name == "ER SDE" || sampler.name == "Restart") return SamplerOptions{.s_noise = 1.05};
  if (sampler.eta > 0) return SamplerOptions{.eta = 0.6, .s_noise = 1.05};
  return std::nullopt;
}

TEST(Samplers, EqualTheirReferencesWithOptions) {
  for (const SamplerInfo& sampler : samplers()) {
    const auto options = recorded_options(sampler);
    const auto want = recorded(key(sampler, Spacing::kAutomatic, "options"));
    ASSERT_EQ(options.has_value(), want.has_value()) << sampler.name;
    if (!options) continue;
    const int64_t steps = sampler.name == "Restart" ? 40 : 10;  // enough for two restarts
    const Tensor got = run(sampler, Spacing::kAutomatic, steps, {kSeed}, *options).x.back();
    EXPECT_LE(error_of(got, *want), kLimit) << sampler.name;
  }
}

/// Over the rows (steps) of two recordings.
double largest_difference(const Tensor& x, const Tensor& y) {
  double largest = 0;
  const Tensor like({x.shape[1]});
  for (size_t i = 0; i < static_cast<size_t>(x.shape[0]); ++i)
    largest = std::max(largest, nmse(row(x, i, like), row(y, i, like)));
  return largest;
}

TEST(Samplers, AreToldApartByTheseNumbers) {
  for (const SpacingInfo& spacing : spacings()) {
    std::map<std::string_view, Tensor> runs;
    for (const SamplerInfo& sampler : samplers()) {
      if (auto x = recorded(key(sampler, spacing.spacing, "x"))) runs[sampler.name] = *x;
    }
    for (const auto& [name, x] : runs) {
      for (const auto& [other, y] : runs) {
        if (name < other && x.shape == y.shape) {
          EXPECT_GE(largest_difference(x, y), 100 * kLimit)
              << name << " and " << other << ", " << spacing.name;
        }
      }
    }
  }
}

/// Those of new_table() in record_more_samplers.py, by what was recorded: "sigmas" of SD 1.x's
/// table, "sdxl" of SDXL's levels, "options" with other ends and rho.
void expect_recorded(Spacing spacing, int64_t steps, const char* what,
                     const SigmaOptions& options) {
  const std::string key = fmt::format("{}|{}|{}", info(spacing).name, steps, what);
  const auto want = recorded(key);
  if (!want) return;
  const std::vector<float> got = sigmas(spacing, steps, NoiseSchedule::sd1(), options);
  ASSERT_EQ(static_cast<int64_t>(got.size()), want->size()) << key;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want->data[i], 2e-6 * want->data[i] + 1e-7) << key << " " << i;
}

TEST(Schedules, EqualTheirReferences) {
  for (const SpacingInfo& spacing : spacings()) {
    if (spacing.spacing == Spacing::kAutomatic) continue;
    for (const int64_t steps : {1, 2, 3, 5, 8, 10, 11, 12, 20, 50}) {
      expect_recorded(spacing.spacing, steps, "sigmas", {});
      expect_recorded(spacing.spacing, steps, "sdxl", {.aligned = AlignedSteps::kSdxl});
      SigmaOptions changed{.sigma_min = 0.1, .sigma_max = 10};
      changed.rho = spacing.spacing == Spacing::kKarras ? 5 : 1.5;
      expect_recorded(spacing.spacing, steps, "options", changed);
    }
    // Those of record_samplers.py are compared by the runs.
    const bool old = recorded(fmt::format("Euler|{}|x", spacing.name)).has_value();
    EXPECT_TRUE(old || recorded(fmt::format("{}|10|sigmas", spacing.name))) << spacing.name;
  }
}

TEST(Samplers, ABatchEqualsItsSingleRuns) {
  for (const SamplerInfo& sampler : samplers()) {
    if (sampler.name == "DPM adaptive") continue;  // one step size for the batch, as its reference
    const Tensor batch = run(sampler, Spacing::kAutomatic, 6, {42, 43, 44, 45}).x.back();
    for (uint64_t i = 0; i < 4; ++i) {
      const Tensor single = run(sampler, Spacing::kAutomatic, 6, {42 + i}).x.back();
      EXPECT_TRUE(std::equal(single.begin(), single.end(),
                             batch.begin() + static_cast<int64_t>(i) * single.size()))
          << sampler.name << " picture " << i;
    }
  }
}

}  // namespace
}  // namespace safelight::diffusion
