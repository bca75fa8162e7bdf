// Noise levels beyond Stable Diffusion 1.x's own against diffusers
// (tools/reference/record_noise_schedules.py).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "diffusion/sampler.h"

namespace safelight::diffusion {
namespace {

namespace json = boost::json;

constexpr double kLimit = 1e-6, kExact = 1e-12;

const json::value& recorded() {
  static const json::value kRecord =
      parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) +
                            "/tests/golden/data/samplers/noise_schedules.json"))
          .value();
  return kRecord;
}

Tensor tensor(const json::value& values) {
  return {json::value_to<std::vector<int64_t>>(recorded().at("shape")),
          json::value_to<std::vector<float>>(values)};
}

/// The analytic network of record_noise_schedules.py.
Tensor network(const Tensor& x, double told) {
  Tensor result = x;
  for (float& value : result.data)
    value =
        static_cast<float>(0.7 * std::tanh(3.0 * value) - 0.3 * std::cos(2.0 * value + 4 * told));
  return result;
}

class EdmRun : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(EdmRun, EqualsDiffusersAtEveryStep) {
  const auto& [name, key] = GetParam();
  const json::value& want = recorded().at(key);
  const auto seed = recorded().at("seed").to_number<uint64_t>();
  const NoiseSchedule schedule = NoiseSchedule::edm({});
  const auto levels = json::value_to<std::vector<double>>(want.at("sigmas"));
  ImageNoise noise({.shape = {4, 4, 4}, .seeds = {seed}});
  const SampleInputs inputs{
      schedule, Spacing::kKarras, static_cast<int64_t>(levels.size()) - 1, {}, noise,
      {seed},   {4, 4, 4}};
  const auto denoiser = [&](const Tensor& x, double sigma, double timestep) -> Result<Tensor> {
    Tensor input = x;
    for (float& value : input.data) value *= static_cast<float>(schedule.input_scale(sigma));
    return schedule.denoised(x, network(input, schedule.told(sigma, timestep)), sigma);
  };
  const auto result =
      sample(*find_sampler(name)->sampler, inputs, denoiser, [&](const StepInfo& info) -> Status {
        const auto i = static_cast<size_t>(info.step);
        EXPECT_NEAR(info.sigma / levels[i], 1, 1e-5) << "step " << i;
        EXPECT_LE(nmse(info.x, tensor(want.at("steps").at(i))), kLimit) << "step " << i;
        return {};
      });
  ASSERT_TRUE(result.ok());
  EXPECT_LE(nmse(*result, tensor(want.at("result"))), kLimit);
}

INSTANTIATE_TEST_SUITE_P(Samplers, EdmRun,
                         testing::Values(std::pair{"Euler", "edm_euler"},
                                         std::pair{"DPM++ 2M", "edm_dpmpp_2m"}),
                         [](const auto& run) { return std::string(run.param.second); });

TEST(Predictions, GiveTheSamePictureAsDiffusers) {
  const std::map<std::string_view, Prediction> kinds = {{"epsilon", Prediction::kEpsilon},
                                                        {"v_prediction", Prediction::kV},
                                                        {"sample", Prediction::kSample}};
  for (const json::value& want : recorded().at("predictions").as_array()) {
    const std::string_view kind = want.at("prediction").as_string();
    const NoiseSchedule schedule = NoiseSchedule::sd1(kinds.at(kind));
    const Tensor picture = schedule.denoised(tensor(want.at("x")), tensor(want.at("output")),
                                             want.at("sigma").to_number<double>());
    EXPECT_LE(nmse(picture, tensor(want.at("picture"))), kExact) << kind;
  }
}

TEST(ZeroTerminalSnr, HasTheLevelsOfDiffusers) {
  const auto want = json::value_to<std::vector<double>>(recorded().at("zero_terminal_alphas"));
  const NoiseSchedule schedule = NoiseSchedule::sd1(Prediction::kV).zero_terminal_snr();
  ASSERT_EQ(schedule.alphas_cumprod().size(), want.size());
  for (size_t i = 0; i + 1 < want.size(); ++i)
    EXPECT_NEAR(schedule.alphas_cumprod()[i], want[i], 1e-5 * want[i] + 1e-8) << "timestep " << i;
  // The last is zero but for what keeps sigma finite: diffusers takes 2^-24, SD WebUI another.
  EXPECT_NEAR(schedule.sigma_max(), 4518.76, 0.01);
  EXPECT_EQ(schedule.prediction(), Prediction::kV);
}

}  // namespace
}  // namespace safelight::diffusion
