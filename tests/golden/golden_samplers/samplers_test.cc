// Every sampler x schedule against its reference at every step
// (tools/reference/record_samplers.py).
#include "diffusion/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "weights/convert.h"
#include "weights/safetensors.h"

namespace safelight::diffusion {
namespace {

constexpr uint64_t kSeed = 42;
constexpr double kLimit = 1e-6;

const weights::TensorIndex& recorded() {
  static const auto kIndex = weights::open_safetensors(
      std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/samplers/samplers.safetensors");
  return kIndex.value();
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

struct Trace {
  std::vector<Tensor> x;  ///< at each step, and the result
  std::vector<double> sigma;
};

Trace run(const SamplerInfo& sampler, Spacing spacing, int64_t steps,
          const std::vector<uint64_t>& seeds = {kSeed}, const SamplerOptions& options = {}) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  ImageNoise noise({.shape = {4, 4, 4}, .seeds = seeds});
  const SampleInputs inputs{schedule, spacing, steps, options, noise, seeds, {4, 4, 4}};
  Trace trace;
  auto result = sample(sampler, inputs, picture, [&](const StepInfo& info) -> Status {
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

TEST(Samplers, EqualTheirReferencesAtEveryStep) {
  for (const SamplerInfo& sampler : samplers()) {
    for (const SpacingInfo& spacing : spacings()) {
      SCOPED_TRACE(key(sampler, spacing.spacing, ""));
      const Trace got = run(sampler, spacing.spacing, 20);
      const Tensor x = weights::to_tensor(*recorded().find(key(sampler, spacing.spacing, "x")));
      const Tensor sigma =
          weights::to_tensor(*recorded().find(key(sampler, spacing.spacing, "sigma")));
      ASSERT_EQ(static_cast<int64_t>(got.sigma.size()), sigma.size());
      ASSERT_EQ(static_cast<int64_t>(got.x.size()), x.shape[0]);
      for (size_t i = 0; i < got.sigma.size(); ++i)
        EXPECT_NEAR(got.sigma[i], sigma.data[i], 1e-5 * sigma.data[i]);
      for (size_t i = 0; i < got.x.size(); ++i)
        EXPECT_LE(nmse(got.x[i], row(x, i, got.x[i])), kLimit) << "step " << i;
    }
  }
}

TEST(Samplers, EqualTheirReferencesInTenSteps) {
  for (const SamplerInfo& sampler : samplers()) {
    for (const SpacingInfo& spacing : spacings()) {
      SCOPED_TRACE(key(sampler, spacing.spacing, "10"));
      const Tensor got = run(sampler, spacing.spacing, 10).x.back();
      const Tensor want = weights::to_tensor(*recorded().find(key(sampler, spacing.spacing, "10")));
      EXPECT_LE(nmse(got, row(want, 0, got)), kLimit);
    }
  }
}

/// The options that record_samplers.py gives a sampler, where it has any.
std::optional<SamplerOptions> recorded_options(const SamplerInfo& sampler) {
  if (sampler.name == "Euler" || sampler.name == "Heun" || sampler.name == "DPM2")
    return SamplerOptions{.s_churn = 4, .s_tmin = 0.5, .s_tmax = 8, .s_noise = 1.05};
  if (sampler.name == "DDIM") return SamplerOptions{.eta = 0.6};
  if (sampler.eta > 0) return SamplerOptions{.eta = 0.6, .s_noise = 1.05};
  return std::nullopt;
}

TEST(Samplers, EqualTheirReferencesWithOptions) {
  for (const SamplerInfo& sampler : samplers()) {
    const auto options = recorded_options(sampler);
    const auto* want = recorded().find(key(sampler, Spacing::kAutomatic, "options"));
    ASSERT_EQ(options.has_value(), want != nullptr) << sampler.name;
    if (!options) continue;
    const Tensor got = run(sampler, Spacing::kAutomatic, 10, {kSeed}, *options).x.back();
    EXPECT_LE(nmse(got, row(weights::to_tensor(*want), 0, got)), kLimit) << sampler.name;
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
      runs[sampler.name] = weights::to_tensor(*recorded().find(key(sampler, spacing.spacing, "x")));
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

TEST(Samplers, ABatchEqualsItsSingleRuns) {
  for (const SamplerInfo& sampler : samplers()) {
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
