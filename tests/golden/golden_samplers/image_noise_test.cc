// Noise of a batch against SD WebUI's ImageRNG (tools/reference/record_image_noise.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "diffusion/noise.h"

namespace safelight::diffusion {
namespace {

namespace json = boost::json;

template <class T>
T option(const json::object& recorded, const char* key, T otherwise) {
  const json::value* found = recorded.if_contains(key);
  return found ? json::value_to<T>(*found) : otherwise;
}

NoiseOptions options(const json::object& recorded, const std::vector<int64_t>& shape) {
  const auto resize = option<std::vector<int64_t>>(recorded, "resize", {0, 0});
  return {.shape = shape,
          .seeds = json::value_to<std::vector<uint64_t>>(recorded.at("seeds")),
          .subseeds = option<std::vector<uint64_t>>(recorded, "subseeds", {}),
          .subseed_strength = option<float>(recorded, "subseed_strength", 0),
          .seed_resize_height = resize[0],
          .seed_resize_width = resize[1],
          .eta_noise_seed_delta = option<int64_t>(recorded, "ensd", 0),
          .source = recorded.at("source") == "nv" ? NoiseSource::kNv : NoiseSource::kCpu};
}

TEST(ImageNoise, EqualsSdWebUi) {
  const auto record = parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) +
                                            "/tests/golden/data/samplers/image_noise.json"))
                          .value();
  const auto shape = json::value_to<std::vector<int64_t>>(record.at("shape"));
  for (const json::value& entry : record.at("cases").as_array()) {
    const json::object& recorded = entry.as_object();
    const NoiseOptions asked = options(recorded, shape);
    ImageNoise noise(asked);
    const json::array& draws = recorded.at("draws").as_array();
    for (size_t i = 0; i < draws.size(); ++i) {
      SCOPED_TRACE(fmt::format("{} draw {}", json::serialize(recorded.at("seeds")), i));
      const Tensor got = i == 0 ? noise.first() : noise.next();
      const auto want = json::value_to<std::vector<float>>(draws[i]);
      // Interpolated noise goes through acos and sin; all other is only moved.
      if (i == 0 && asked.subseed_strength != 0) {
        EXPECT_LE(nmse(got, Tensor(got.shape, want)), 1e-10);
      } else {
        EXPECT_EQ(got.data, want);
      }
    }
  }
}

}  // namespace
}  // namespace safelight::diffusion
