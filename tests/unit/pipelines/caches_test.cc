// What is kept of prompts, and what previews are made of.
#include <gtest/gtest.h>

#include <cmath>

#include "guard/guard.h"
#include "pipelines/conditioning_cache.h"
#include "pipelines/latent_preview.h"
#include "support/random_tensor.h"

namespace safelight::pipelines {
namespace {

using testing::random_tensor;

/// Encodes each chunk to its first tokens, and counts how often it is asked.
class CountingModel : public LatentModel {
 public:
  int calls = 0;
  bool fails = false;

  const ModelTraits& traits() const override { return traits_; }
  void set_traits(ModelTraits traits) override { traits_ = std::move(traits); }
  Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks,
                              const EncodeOptions& options, const engine::StopFlag*) override {
    ++calls;
    if (fails) return Error{ErrorCode::kCancelled, "stopped"};
    Tensor encoded({1, static_cast<int64_t>(chunks.size()), 256});
    for (size_t i = 0; i < chunks.size(); ++i)
      encoded.data[256 * i] = static_cast<float>(chunks[i].tokens[1] * 10 + options.clip_skip);
    return Conditioning{.context = std::move(encoded), .vector = {}};
  }
  Result<std::unique_ptr<Predictor>> predictor(const std::vector<const Conditioning*>&, int64_t,
                                               int64_t, const PassOptions&,
                                               const engine::StopFlag*) override {
    return Error{ErrorCode::kUnsupported, "no"};
  }
  Result<Tensor> decode(const Tensor&, const engine::StopFlag*) override { return Tensor(); }
  uint64_t bytes() const override { return 0; }

 private:
  ModelTraits traits_{.schedule = diffusion::NoiseSchedule::sd1()};
};

std::vector<text::TokenChunk> prompt(int32_t word, float weight = 1) {
  text::TokenChunk chunk;
  chunk.tokens[1] = word;
  chunk.weights[1] = weight;
  return {chunk};
}

TEST(ConditioningCache, GivesTheSameTensorForTheSamePrompt) {
  CountingModel model;
  ConditioningCache cache;
  const auto encode = [&](const std::vector<text::TokenChunk>& chunks, int64_t clip_skip = 1,
                          text::Emphasis emphasis = text::Emphasis::kOriginal,
                          const std::string& id = "a") {
    return *cache.encode(model, id, chunks, {.clip_skip = clip_skip, .emphasis = emphasis},
                         nullptr);
  };
  const auto first = encode(prompt(7));
  EXPECT_EQ(encode(prompt(7)), first);
  EXPECT_EQ(model.calls, 1);
  EXPECT_EQ(cache.hits(), 1);
  // Whatever changes the result is another entry.
  encode(prompt(8));
  encode(prompt(7, 1.1F));
  encode(prompt(7), 2);
  encode(prompt(7), 1, text::Emphasis::kNoNorm);
  encode(prompt(7), 1, text::Emphasis::kOriginal, "b");
  std::vector<text::TokenChunk> longer = prompt(7);
  longer.emplace_back();
  encode(longer);
  for (const char* hash : {"1", "2", "1"}) {
    std::vector<text::TokenChunk> learned = prompt(7);
    learned[0].learned = {
        {2, std::make_shared<text::LearnedWord>(text::LearnedWord{"w", hash, {}})}};
    encode(learned);
  }
  EXPECT_EQ(model.calls, 9);
  EXPECT_EQ(encode(prompt(7)), first);
}

TEST(ConditioningCache, TheLeastRecentlyUsedGoesFirst) {
  CountingModel model;
  ConditioningCache cache(8000);  // four entries
  const auto encode = [&](int32_t word) {
    return (*cache.encode(model, "a", prompt(word), {}, nullptr))->context.data[0];
  };
  for (int32_t word = 0; word < 4; ++word) encode(word);
  EXPECT_LE(cache.bytes(), 8000U);
  EXPECT_GT(cache.bytes(), 4000U);
  encode(0);
  encode(9);
  EXPECT_LE(cache.bytes(), 8000U);
  const int before = model.calls;
  EXPECT_EQ(encode(0), 1);
  EXPECT_EQ(encode(9), 91);
  EXPECT_EQ(model.calls, before);
  encode(1);
  EXPECT_EQ(model.calls, before + 1);
}

TEST(ConditioningCache, KeepsNoFailure) {
  CountingModel model;
  ConditioningCache cache;
  model.fails = true;
  EXPECT_FALSE(cache.encode(model, "a", prompt(1), {}, nullptr).ok());
  model.fails = false;
  EXPECT_TRUE(cache.encode(model, "a", prompt(1), {}, nullptr).ok());
}

/// A "decoder" of factor 4 that is linear, so that the map can be found again.
Tensor decode(const Tensor& latents) {
  const int64_t channels = latents.shape[1], height = latents.shape[2], width = latents.shape[3];
  Tensor picture({latents.shape[0], 3, 4 * height, 4 * width});
  for (int64_t n = 0; n < latents.shape[0]; ++n)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t y = 0; y < 4 * height; ++y)
        for (int64_t x = 0; x < 4 * width; ++x) {
          double value = 0.1 * static_cast<double>(c) - 0.1;
          for (int64_t k = 0; k < channels; ++k)
            value += 0.05 * static_cast<double>((k + c) % 3 - 1) *
                     latents.begin()[((n * channels + k) * height + y / 4) * width + x / 4];
          // Detail that a preview leaves out.
          value += (x % 2 == 0 ? 0.05 : -0.05);
          picture.begin()[((n * 3 + c) * 4 * height + y) * 4 * width + x] =
              static_cast<float>(value);
        }
  return picture;
}

image::Image drawn(const LatentPreview& preview, const Tensor& latents, int64_t index) {
  return guard::Guard().release(preview.draw(latents, index))->pixels();
}

TEST(LatentPreview, FindsTheDecodersColours) {
  LatentPreview preview;
  EXPECT_FALSE(preview.fitted());
  const Tensor seen = random_tensor({2, 4, 16, 16}, 1), fresh = random_tensor({2, 4, 6, 10}, 2);
  preview.learn(seen, decode(seen));
  ASSERT_TRUE(preview.fitted());
  const image::Image picture = drawn(preview, fresh, 1);
  ASSERT_EQ(picture.width, 10);
  ASSERT_EQ(picture.height, 6);
  const Tensor wanted = decode(fresh);
  for (int64_t y = 0; y < 6; ++y) {
    for (int64_t x = 0; x < 10; ++x) {
      const double value = wanted.begin()[((3 + 0) * 24 + 4 * y) * 40 + 4 * x] - 0.05;
      EXPECT_NEAR(picture.pixels[static_cast<size_t>(3 * (y * 10 + x))], (value + 1) * 127.5, 1.5);
    }
  }
}

TEST(LatentPreview, APictureOfOneColourGivesThatColour) {
  LatentPreview preview;
  Tensor flat({1, 4, 8, 8}), white({1, 3, 32, 32});
  std::fill(flat.begin(), flat.end(), 0.5F);
  std::fill(white.begin(), white.end(), 1.0F);
  preview.learn(flat, white);
  for (const uint8_t value : drawn(preview, flat, 0).pixels) EXPECT_GE(value, 253);
}

TEST(LatentPreview, NewPicturesCountMost) {
  LatentPreview preview;
  Tensor flat({1, 1, 4, 4}), white({1, 3, 8, 8}), black({1, 3, 8, 8});
  std::fill(flat.begin(), flat.end(), 1.0F);
  std::fill(white.begin(), white.end(), 1.0F);
  std::fill(black.begin(), black.end(), -1.0F);
  preview.learn(flat, white);
  for (int i = 0; i < 60; ++i) preview.learn(flat, black);
  EXPECT_LE(drawn(preview, flat, 0).pixels[0], 10);
}

}  // namespace
}  // namespace safelight::pipelines
