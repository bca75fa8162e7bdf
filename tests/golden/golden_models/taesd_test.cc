// The decoder of TAESD against diffusers' AutoencoderTiny (tools/reference/record_taesd.py).
#include "models/taesd/taesd.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "engine/engine.h"
#include "pipelines/taesd_decoder.h"
#include "weights/convert.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using engine::Precision;

const std::string kData = std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/taesd/";

/// The recorded decoder in the names of the original files: places count one more.
weights::TensorIndex original_names(const weights::TensorIndex& diffusers,
                                    const std::string& prefix) {
  constexpr std::string_view kTheirs = "decoder.layers.";
  weights::TensorIndex index;
  for (const auto& [name, tensor] : diffusers) {
    const std::string rest = name.substr(kTheirs.size());
    const size_t dot = rest.find('.');
    const std::string place = std::to_string(std::stoi(rest.substr(0, dot)) + 1);
    EXPECT_TRUE(index.add(prefix + place + rest.substr(dot), tensor, "taesd").ok());
  }
  return index;
}

class TaesdGolden : public testing::TestWithParam<Precision> {};

TEST_P(TaesdGolden, DecodesAsDiffusersUnderEachOfItsNames) {
  auto engine = std::move(*engine::make_engine("cpu", {.precision = GetParam(), .threads = 2}));
  const auto file = weights::open_weights(kData + "decoder.safetensors");
  const auto expected = weights::open_weights(kData + "expected.safetensors");
  ASSERT_TRUE(file.ok() && expected.ok());
  const Tensor latents = weights::to_tensor(*expected->find("latents"));
  const Tensor picture = weights::to_tensor(*expected->find("picture"));
  for (const auto& index :
       {*file, original_names(*file, ""), original_names(*file, "taesd_decoder.")}) {
    ASSERT_TRUE(models::taesd::matches(index));
    auto model = models::taesd::bind(index);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(model->weights.size(), index.size());
    pipelines::TaesdDecoder decoder(*engine, std::move(*model));
    const auto decoded = decoder.decode(latents, nullptr);
    ASSERT_TRUE(decoded.ok());
    EXPECT_LE(nmse(*decoded, picture), GetParam() == Precision::kF32 ? 1e-8 : 2e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, TaesdGolden,
                         testing::Values(Precision::kF32, Precision::kBF16), [](const auto& run) {
                           return run.param == Precision::kF32 ? "f32" : "bf16";
                         });

TEST(Taesd, HasThePublishedWeights) {
  const auto shapes = parse_json(*read_file(kData + "published.json")).value();
  weights::TensorIndex index;
  for (const auto& [name, shape] : shapes.as_object()) {
    Tensor zeros(boost::json::value_to<std::vector<int64_t>>(shape));
    ASSERT_TRUE(index.add(name, weights::view_of(std::move(zeros)), "published").ok());
  }
  const auto model = models::taesd::bind(index);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->weights.size(), index.size());
  EXPECT_EQ(model->decoder.config.channels, 64);
}

TEST(Taesd, RefusesOtherFilesAndWrongShapes) {
  weights::TensorIndex index;
  EXPECT_FALSE(models::taesd::matches(index));
  EXPECT_EQ(models::taesd::bind(index).error().code, ErrorCode::kUnsupported);
  const auto file = weights::open_weights(kData + "decoder.safetensors");
  index = *file;
  index.erase("decoder.layers.6.weight");
  EXPECT_EQ(models::taesd::bind(index).error().code, ErrorCode::kCorruptFile);
  index = *file;
  index.replace("decoder.layers.0.weight", weights::view_of(Tensor({8, 4})));
  EXPECT_EQ(models::taesd::bind(index).error().code, ErrorCode::kCorruptFile);
}

}  // namespace
}  // namespace safelight
