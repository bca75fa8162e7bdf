// Textual inversions in every form; files of torch are those of
// tools/reference/record_torch_files.py.
#include "weights/embedding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "unit/weights/support.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

const std::filesystem::path kData = SAFELIGHT_SOURCE_DIR "/tests/golden/data/torch";

/// An index of float32 tensors with the numbers 0, 1, 2, ...
TensorIndex index_of(const std::map<std::string, std::vector<int64_t>>& shapes) {
  TensorIndex index;
  for (const auto& [name, shape] : shapes) {
    Tensor tensor(shape);
    for (size_t i = 0; i < tensor.data.size(); ++i) tensor.data[i] = static_cast<float>(i);
    EXPECT_TRUE(index.add(name, view_of(std::move(tensor)), "e.safetensors").ok());
  }
  return index;
}

std::string error_of(const std::map<std::string, std::vector<int64_t>>& shapes) {
  const auto embedding = read_embedding(index_of(shapes));
  return embedding ? "" : embedding.error().message;
}

/// The vectors of a recorded file are those that torch saved.
void expect_recorded(const std::string& file, const std::string& tensor, int64_t count) {
  const auto expected = open_safetensors(kData / "expected.safetensors");
  ASSERT_TRUE(expected.ok());
  const auto embedding = open_embedding(kData / file);
  ASSERT_TRUE(embedding.ok()) << embedding.error().message;
  EXPECT_EQ(embedding->count(), count);
  EXPECT_EQ(embedding->width(), 8);
  ASSERT_TRUE(embedding->vectors.contains(""));
  const TensorView* want = expected->find(file + ":" + tensor);
  ASSERT_NE(want, nullptr);
  const std::vector<float>& got = embedding->vectors.at("").data;
  ASSERT_EQ(got.size() * sizeof(float), want->data.size());
  EXPECT_EQ(std::memcmp(got.data(), want->data.data(), want->data.size()), 0);
}

TEST(Embedding, OfSdWebuiAndDiffusers) {
  expect_recorded("embedding.pt", "string_to_param.*", 2);
  expect_recorded("older_embedding.pt", "string_to_param.*", 1);
  expect_recorded("learned_embeds.bin", "<cat>", 1);
  const auto embedding = open_embedding(kData / "embedding.pt");
  ASSERT_TRUE(embedding.ok());
  EXPECT_EQ(embedding->name, "cat-toy");
  EXPECT_EQ(embedding->step, 500);
  EXPECT_EQ(embedding->checkpoint, "SD1.5");
}

TEST(Embedding, OfSafetensorsAndSdxl) {
  const auto one = read_embedding(index_of({{"emb_params", {3, 768}}}));
  ASSERT_TRUE(one.ok()) << one.error().message;
  EXPECT_EQ(one->count(), 3);
  EXPECT_EQ(one->width(), 768);
  const auto pair = read_embedding(index_of({{"clip_l", {2, 768}}, {"clip_g", {2, 1280}}}));
  ASSERT_TRUE(pair.ok()) << pair.error().message;
  EXPECT_EQ(pair->count(), 2);
  EXPECT_EQ(pair->width(), 2048);
}

TEST(Embedding, RefusesWhatIsNone) {
  EXPECT_EQ(error_of({{"a", {2, 8}}, {"b", {2, 8}}}),
            "is no textual inversion: it has 2 tensors, 'a' one of them");
  EXPECT_EQ(error_of({}), "is no textual inversion: it has 0 tensors");
  EXPECT_EQ(error_of({{"emb_params", {2, 3, 4}}}),
            "tensor 'emb_params' has shape [2, 3, 4]; a textual inversion has [vectors, width]");
  EXPECT_EQ(error_of({{"emb_params", {0, 8}}}),
            "tensor 'emb_params' has shape [0, 8]; a textual inversion has [vectors, width]");
  EXPECT_EQ(error_of({{"emb_params", {76, 8}}}),
            "tensor 'emb_params' has 76 vectors; at most 75 fit a run of the text encoder");
  EXPECT_EQ(error_of({{"clip_l", {2, 8}}, {"clip_g", {3, 8}}}),
            "has 3 vectors in 'clip_g' and 2 in 'clip_l'; both must have as many");
  EXPECT_EQ(error_of({{"string_to_param.*", {2, 8}}, {"string_to_param.x", {2, 8}}}),
            "teaches several words, 'string_to_param.x' one of them; one a file is possible");
  EXPECT_EQ(error_of({{"clip_l", {2, 8}}, {"emb_params", {2, 8}}}),
            "has other tensors beside 'clip_l' or 'clip_g'");
}

TEST(Embedding, RefusesNumbersThatAreNone) {
  TensorIndex index;
  Tensor vectors({1, 2}, {1, std::nanf("")});
  ASSERT_TRUE(index.add("emb_params", view_of(std::move(vectors)), "e").ok());
  EXPECT_EQ(read_embedding(index).error().message,
            "tensor 'emb_params' has values that are not finite; the file is damaged");
  const auto picture = open_embedding("some/face.webp");
  EXPECT_EQ(picture.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(picture.error().message,
            "face.webp is a picture; embeddings inside pictures are not read: save it as .pt or "
            ".safetensors");
}

TEST(Embedding, GoesToTheEncodersOfItsWidth) {
  const auto sd1 = read_embedding(index_of({{"emb_params", {2, 768}}}));
  const auto sdxl = read_embedding(index_of({{"clip_l", {2, 768}}, {"clip_g", {2, 1280}}}));
  ASSERT_TRUE(sd1.ok());
  ASSERT_TRUE(sdxl.ok());
  EXPECT_EQ(vectors_for(*sd1, {768})->size(), 1U);
  const auto both = vectors_for(*sdxl, {768, 1280});
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both)[0].shape, (std::vector<int64_t>{2, 768}));
  EXPECT_EQ((*both)[1].shape, (std::vector<int64_t>{2, 1280}));
  EXPECT_EQ((*vectors_for(*sdxl, {1280}))[0].shape, (std::vector<int64_t>{2, 1280}));
  EXPECT_EQ(vectors_for(*sd1, {1024}).error().message,
            "is for SD 1.x (vectors of 768 numbers); this model's have 1024");
  EXPECT_EQ(vectors_for(*sd1, {768, 1280}).error().message,
            "is for SD 1.x (vectors of 768 numbers); this model's have 768 and 1280");
  EXPECT_EQ(vectors_for(*sdxl, {768}).error().message,
            "is for SDXL (vectors of 2048 numbers); this model's have 768");
}

TEST(Embedding, IsTakenOutOfALora) {
  const auto bundled =
      read_bundled_embeddings(index_of({{"bundle_emb.my.word.string_to_param.*", {2, 8}},
                                        {"bundle_emb.pair.clip_l", {1, 8}},
                                        {"bundle_emb.pair.clip_g", {1, 16}},
                                        {"bundle_emb.pair.clip_l_out", {1, 8}},
                                        {"lora_unet_x.lora_down.weight", {4, 8}}}));
  ASSERT_TRUE(bundled.ok()) << bundled.error().message;
  ASSERT_EQ(bundled->size(), 2U);
  EXPECT_EQ(bundled->at("my.word").count(), 2);
  EXPECT_EQ(bundled->at("pair").width(), 24);
  EXPECT_EQ(read_bundled_embeddings(index_of({{"bundle_emb.x.clip_l", {90, 8}}})).error().message,
            "bundled embedding 'x': tensor 'clip_l' has 90 vectors; at most 75 fit a run of the "
            "text encoder");
}

}  // namespace
}  // namespace safelight::weights
