// Words of textual inversion in one and two text encoders, against diffusers'
// load_textual_inversion and transformers (tools/reference/record_learned_words.py).
#include <gtest/gtest.h>

#include "golden/golden_models/random_checkpoint.h"
#include "pipelines/registry.h"
#include "support/temporary_folder.h"
#include "weights/convert.h"
#include "weights/embedding.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

const std::filesystem::path kData = SAFELIGHT_SOURCE_DIR "/tests/golden/data/learned_words";

class LearnedWordsGolden : public ::testing::Test {
 protected:
  /// The conditioning of the recorded prompt by the model of that name.
  void encode(const std::string& name, const std::string& group, int64_t clip_skip = 1) {
    if (!model_) {
      const auto path =
          testing::RandomCheckpoint(name, group).write(folder_.path(), testing::Dialect::kOriginal);
      engine_ = std::move(
          *engine::make_engine("cpu", {.precision = engine::Precision::kF32, .threads = 2}));
      auto model = pipelines::load_model(*engine_, path);
      ASSERT_TRUE(model.ok()) << model.error().message;
      model_ = std::move(*model);
    }
    const auto word = weights::open_embedding(kData / (name + "_word.safetensors"));
    ASSERT_TRUE(word.ok()) << word.error().message;
    auto vectors = weights::vectors_for(*word, model_->traits().text_widths);
    ASSERT_TRUE(vectors.ok()) << vectors.error().message;
    text::Vocabulary words;
    words.add(std::make_shared<text::LearnedWord>(
        text::LearnedWord{.name = "LearnedCat", .hash = "1", .vectors = std::move(*vectors)}));
    const auto chunks =
        text::chunk_prompt(text::ClipTokenizer::instance(),
                           text::parse_prompt("a red learnedcat, of the snow"), words)
            .chunks;
    ASSERT_EQ(chunks[0].learned.size(), 1U);
    auto encoded = model_->encode(chunks, {.clip_skip = clip_skip}, nullptr);
    ASSERT_TRUE(encoded.ok()) << encoded.error().message;
    encoded_ = std::move(*encoded);
    const auto recorded = weights::open_weights(kData / (name + ".safetensors"));
    ASSERT_TRUE(recorded.ok());
    for (const auto& [key, tensor] : *recorded) recorded_[key] = weights::to_tensor(tensor);
    // Without the word the numbers are others: the comparison can fail.
    auto plain = chunks;
    plain[0].learned.clear();
    const auto other = model_->encode(plain, {.clip_skip = clip_skip}, nullptr);
    ASSERT_TRUE(other.ok());
    EXPECT_GT(nmse(other->context, encoded_.context), 1e-3);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<pipelines::LatentModel> model_;
  pipelines::Conditioning encoded_;
  std::map<std::string, Tensor> recorded_;
};

TEST_F(LearnedWordsGolden, OfOneTextEncoder) {
  encode("small", "sd1");
  EXPECT_LE(nmse(encoded_.context, recorded_["context"]), 1e-8);
  encode("small", "sd1", 2);
  EXPECT_LE(nmse(encoded_.context, recorded_["skip2"]), 1e-8);
}

TEST_F(LearnedWordsGolden, OfTwoTextEncoders) {
  encode("sdxl", "families");
  EXPECT_LE(nmse(encoded_.context, recorded_["context"]), 1e-8);
  Tensor pooled(recorded_["pooled"].shape);
  std::copy_n(encoded_.vector.begin(), pooled.size(), pooled.begin());
  EXPECT_LE(nmse(pooled, recorded_["pooled"]), 1e-8);
}

TEST_F(LearnedWordsGolden, OfTheRefinersTextEncoder) {
  encode("refiner", "families");
  EXPECT_LE(nmse(encoded_.context, recorded_["context"]), 1e-8);
}

}  // namespace
}  // namespace safelight
