// Ways of guidance against diffusers and their published formulas
// (tools/reference/record_guidance.py).
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "diffusion/guidance.h"
#include "diffusion/guidance/attention_guidance.h"
#include "diffusion/guidance/dynamic_threshold.h"
#include "diffusion/guidance/projected.h"
#include "diffusion/guidance/zero_star.h"

namespace safelight::diffusion {
namespace {

namespace json = boost::json;

constexpr double kLimit = 1e-12;

Tensor tensor(const json::value& shape, const json::value& values) {
  return {json::value_to<std::vector<int64_t>>(shape), json::value_to<std::vector<float>>(values)};
}

double number(const json::value& value, const char* key) {
  return value.at(key).to_number<double>();
}

std::string text(const json::value& value, const char* key) {
  return std::string(value.at(key).as_string());
}

class GuidanceMethods : public ::testing::Test {
 protected:
  json::value record_ = parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) +
                                              "/tests/golden/data/samplers/guidance_methods.json"))
                            .value();
  const json::value& shape_ = record_.at("shape");
  Tensor uncond_ = tensor(shape_, record_.at("uncond")), cond_ = tensor(shape_, record_.at("cond"));

  /// The picture i of a batch alone.
  static Tensor picture(const Tensor& batch, int64_t i) {
    std::vector<int64_t> shape = batch.shape;
    shape[0] = 1;
    Tensor one(shape);
    std::copy_n(batch.begin() + i * one.size(), one.size(), one.begin());
    return one;
  }
};

TEST_F(GuidanceMethods, PromptsJoinedByAndEqualWebUi) {
  const json::value& want = record_.at("composed");
  const auto weights = json::value_to<std::vector<double>>(want.at("weights"));
  const Tensor joined =
      composed(uncond_, {{weights[0], cond_}, {weights[1], tensor(shape_, want.at("other"))}});
  EXPECT_LE(nmse(guided(uncond_, joined, number(want, "scale")), tensor(shape_, want.at("guided"))),
            kLimit);
}

TEST_F(GuidanceMethods, ZeroStarEqualsDiffusers) {
  for (const json::value& want : record_.at("zero_star").as_array()) {
    const double scale = number(want, "scale");
    const Tensor got = zero_star_guided(uncond_, cond_, scale);
    EXPECT_LE(nmse(got, tensor(shape_, want.at("guided"))), kLimit) << scale;
    EXPECT_EQ(zero_star_guided(picture(uncond_, 1), picture(cond_, 1), scale).data,
              picture(got, 1).data);
  }
}

TEST_F(GuidanceMethods, ProjectedEqualsDiffusers) {
  for (const json::value& want : record_.at("projected").as_array()) {
    const ProjectionOptions options{number(want, "eta"), number(want, "momentum"),
                                    number(want, "threshold")};
    ProjectedGuidance batch(options), alone(options);
    float call = 0;
    for (const json::value& values : want.at("calls").as_array()) {
      Tensor u = uncond_, c = cond_;
      for (float& value : u.data) value -= call;
      for (float& value : c.data) value *= 1 + call;
      const Tensor got = batch(u, c, number(want, "scale"));
      EXPECT_LE(nmse(got, tensor(shape_, values)), kLimit) << want << " call " << call;
      EXPECT_EQ(alone(picture(u, 1), picture(c, 1), number(want, "scale")).data,
                picture(got, 1).data);
      ++call;
    }
  }
}

TEST_F(GuidanceMethods, DynamicThresholdingEqualsItsFormulas) {
  for (const json::value& want : record_.at("threshold").as_array()) {
    const ThresholdOptions options{
        .mimic_scale = number(want, "mimic"),
        .percentile = number(want, "percentile"),
        .mimic_curve = find_scale_curve(text(want, "mimic_mode")).value(),
        .cfg_curve = find_scale_curve(text(want, "cfg_mode")).value(),
        .mimic_minimum = number(want, "mimic_minimum"),
        .cfg_minimum = number(want, "cfg_minimum"),
        .curve_parameter = number(want, "power"),
        .separate_channels = want.at("separate").as_bool(),
        .from_mean = want.at("mean").as_bool(),
        .standard_deviation = want.at("std").as_bool(),
        .strength = number(want, "phi")};
    const double scale = number(want, "scale"), progress = number(want, "progress");
    const Tensor got = threshold_guided(uncond_, cond_, scale, options, progress);
    EXPECT_LE(nmse(got, tensor(shape_, want.at("guided"))), kLimit) << want;
    EXPECT_EQ(
        threshold_guided(picture(uncond_, 1), picture(cond_, 1), scale, options, progress).data,
        picture(got, 1).data);
  }
}

TEST_F(GuidanceMethods, DegradedPicturesEqualDiffusers) {
  const json::value& want = record_.at("degraded");
  const Tensor pictures = tensor(want.at("shape"), want.at("pictures"));
  const Tensor attention = tensor(want.at("attention_shape"), want.at("attention"));
  const Tensor got = degraded(pictures, attention, {});
  EXPECT_LE(nmse(got, tensor(want.at("shape"), want.at("degraded"))), kLimit);
  EXPECT_GT(nmse(got, pictures), 0.01) << "something is blurred";
  EXPECT_EQ(degraded(picture(pictures, 1), picture(attention, 1), {}).data, picture(got, 1).data);
  EXPECT_LE(nmse(degraded(pictures, attention, {.blur_sigma = 2, .threshold = 0}),
                 tensor(want.at("shape"), want.at("blurred_2"))),
            kLimit);
  EXPECT_EQ(degraded(pictures, attention, {.threshold = 100}).data, pictures.data);
}

TEST_F(GuidanceMethods, PerturbedScaleEqualsDiffusers) {
  for (const json::value& want : record_.at("perturbed_scales").as_array()) {
    const auto v = json::value_to<std::vector<double>>(want);
    EXPECT_NEAR(perturbed_scale(v[0], v[1], v[2]), v[3], 1e-12) << want;
  }
}

}  // namespace
}  // namespace safelight::diffusion
