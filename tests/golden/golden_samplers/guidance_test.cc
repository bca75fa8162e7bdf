// Guidance and its rescaling against diffusers (tools/reference/record_guidance.py).
#include "diffusion/guidance.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"

namespace safelight::diffusion {
namespace {

namespace json = boost::json;

constexpr double kLimit = 1e-12;

Tensor tensor(const json::value& shape, const json::value& values) {
  return {json::value_to<std::vector<int64_t>>(shape), json::value_to<std::vector<float>>(values)};
}

TEST(Guidance, EqualsDiffusers) {
  const auto record = parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) +
                                            "/tests/golden/data/samplers/guidance.json"))
                          .value();
  const json::value& shape = record.at("shape");
  const Tensor uncond = tensor(shape, record.at("uncond")), cond = tensor(shape, record.at("cond"));
  for (const json::value& want : record.at("cases").as_array()) {
    const auto scale = want.at("scale").to_number<double>();
    const Tensor got = guided(uncond, cond, scale);
    EXPECT_LE(nmse(got, tensor(shape, want.at("guided"))), kLimit) << "scale " << scale;
    for (const json::value& rescale : want.at("rescaled").as_array()) {
      const auto amount = rescale.at("amount").to_number<double>();
      EXPECT_LE(nmse(rescaled(got, cond, amount), tensor(shape, rescale.at("values"))), kLimit)
          << "scale " << scale << ", amount " << amount;
    }
  }
}

}  // namespace
}  // namespace safelight::diffusion
