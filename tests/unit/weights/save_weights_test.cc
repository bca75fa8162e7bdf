#include "weights/save_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "support/random_tensor.h"
#include "unit/weights/support.h"
#include "weights/convert.h"
#include "weights/half.h"
#include "weights/hashes.h"
#include "weights/inspect.h"
#include "weights/open_weights.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

using graph::DType;

class SaveWeights : public ::testing::Test {
 protected:
  /// A small UNet with all kinds of shapes, in a file.
  SaveWeights() {
    TensorIndex::Map tensors;
    tensors.emplace("model.diffusion_model.out.2.weight", random({4, 2, 3, 3}, 1));
    tensors.emplace("model.diffusion_model.a.weight", random({3, 64}, 2));
    tensors.emplace("model.diffusion_model.a.bias", random({70'000}, 3));
    tensors.emplace("model.diffusion_model.scalar", view_of(Tensor({}, {0.5F})));
    tensors.emplace("ids", TensorView{.dtype = DType::kI64,
                                      .shape = {2},
                                      .data = as_bytes("0123456789abcdef"),
                                      .owner = nullptr});
    EXPECT_TRUE(write_safetensors(source_, tensors, {{"modelspec.title", "a \"test\""}}).ok());
  }

  static TensorView random(std::vector<int64_t> shape, uint32_t seed) {
    return view_of(::safelight::testing::random_tensor(std::move(shape), seed));
  }

  TensorIndex save(const std::filesystem::path& from, const std::string& to, SaveOptions options) {
    const Status saved = save_weights(*open_weights(from), folder_ / to, options);
    EXPECT_TRUE(saved.ok()) << (saved ? "" : saved.error().message);
    auto index = open_weights(folder_ / to);
    EXPECT_TRUE(index.ok()) << (index ? "" : index.error().message);
    return *std::move(index);
  }

  TemporaryFolder folder_;
  std::filesystem::path source_ = folder_ / "m.safetensors";
};

bool same(const TensorIndex& a, const TensorIndex& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& entry) {
           const TensorView* other = b.find(entry.first);
           return other != nullptr && other->dtype == entry.second.dtype &&
                  other->shape == entry.second.shape &&
                  std::ranges::equal(other->data, entry.second.data);
         });
}

TEST_F(SaveWeights, GgufAndBackGivesTheSameTensorsAndMetadata) {
  const auto original = *open_weights(source_);
  const auto gguf = save(source_, "m.gguf", {.format = FileFormat::kGguf});
  EXPECT_TRUE(same(gguf, original));
  EXPECT_EQ(gguf.metadata.at("modelspec.title"), "a \"test\"");
  EXPECT_EQ(gguf.metadata.at("general.file_type"), "0");
  const auto back = save(folder_ / "m.gguf", "back.safetensors", {});
  EXPECT_TRUE(same(back, original));
  EXPECT_EQ(back.metadata.at("modelspec.title"), "a \"test\"");
  EXPECT_TRUE(
      same(save(folder_ / "m.gguf", "again.gguf", {.format = FileFormat::kGguf}), original));
}

TEST_F(SaveWeights, PrecisionsAreThoseOfTheirConversions) {
  const auto original = *open_weights(source_);
  for (const DType type : {DType::kF16, DType::kBF16}) {
    const auto index = save(source_, "p.safetensors", {.precision = type});
    for (const auto& [name, tensor] : index) {
      if (name == "ids") continue;
      EXPECT_EQ(tensor.dtype, type) << name;
      Tensor want = to_tensor(*original.find(name));
      for (float& value : want.data) {
        uint16_t bits = f32_to_f16(value);
        const TensorView one{.dtype = DType::kF32,
                             .shape = {1},
                             .data = std::as_bytes(std::span(&value, 1)),
                             .owner = nullptr};
        if (type == DType::kBF16) to_bf16(one, {&bits, 1});
        value = type == DType::kF16 ? f16_to_f32(bits) : std::bit_cast<float>(uint32_t{bits} << 16);
      }
      EXPECT_EQ(to_tensor(tensor).data, want.data) << name;
    }
    EXPECT_EQ(index.find("ids")->dtype, DType::kI64);
  }
}

TEST_F(SaveWeights, Q8_0TakesWhatHasWholeBlocks) {
  const auto index =
      save(source_, "q.gguf", {.format = FileFormat::kGguf, .precision = DType::kQ8_0});
  const std::string prefix = "model.diffusion_model.";
  EXPECT_EQ(index.find(prefix + "a.weight")->dtype, DType::kQ8_0);
  EXPECT_EQ(index.find(prefix + "out.2.weight")->dtype, DType::kF16);
  EXPECT_EQ(index.find(prefix + "a.bias")->dtype, DType::kF32);
  EXPECT_EQ(index.find("ids")->dtype, DType::kI64);
  // What safetensors cannot hold becomes F16; what it is made of stays as near.
  const auto back = save(folder_ / "q.gguf", "q.safetensors", {});
  EXPECT_EQ(back.find(prefix + "a.weight")->dtype, DType::kF16);
  EXPECT_LT(nmse(to_tensor(*back.find(prefix + "a.weight")),
                 to_tensor(*open_weights(source_)->find(prefix + "a.weight"))),
            1e-4);
}

/// Tensors whose rows no block divides keep their shape by ComfyUI-GGUF's note.
TEST_F(SaveWeights, QuantizedTensorsOfAnyShapeAreKept) {
  const std::filesystem::path comfy = SAFELIGHT_SOURCE_DIR "/tests/golden/data/gguf/comfy.gguf";
  EXPECT_TRUE(same(save(comfy, "c.gguf", {.format = FileFormat::kGguf}), *open_weights(comfy)));
}

TEST_F(SaveWeights, ScaledFloatsAreMultipliedOut) {
  const std::filesystem::path scaled =
      SAFELIGHT_SOURCE_DIR "/tests/golden/data/torch/scaled.safetensors";
  const auto original = *open_weights(scaled);
  const auto saved = save(scaled, "s.safetensors", {.precision = DType::kF32});
  EXPECT_EQ(saved.size(), 3U);
  for (const auto& [name, tensor] : saved) {
    EXPECT_EQ(to_tensor(tensor).data, to_tensor(*original.find(name)).data) << name;
  }
}

TEST_F(SaveWeights, WhatTheTargetCannotHoldIsRefusedAndLeavesNoFile) {
  const auto error = [&](const TensorView& tensor, const std::string& to, SaveOptions options) {
    TensorIndex index;
    EXPECT_TRUE(index.add("x", tensor, "m").ok());
    const Status saved = save_weights(index, folder_ / to, options);
    EXPECT_FALSE(std::filesystem::exists(folder_ / to));
    return saved ? "" : saved.error().message.substr((folder_ / to).string().size());
  };
  const TensorView large = view_of(Tensor({1, 32}, std::vector<float>(32, 70000.0F)));
  const TensorView nan = view_of(Tensor({1, 32}, std::vector<float>(32, NAN)));
  EXPECT_EQ(error(large, "a.safetensors", {.precision = DType::kF16}),
            ": tensor 'x' holds 70000, more than F16 can (65504); bf16 and f32 can");
  EXPECT_EQ(error(large, "a.safetensors", {.precision = DType::kQ8_0}),
            ": safetensors files have no type Q8_0; a .gguf file has");
  EXPECT_EQ(error(nan, "a.gguf", {.format = FileFormat::kGguf, .precision = DType::kQ8_0}),
            ": tensor 'x' holds NaN or infinite values, which Q8_0 cannot hold");
  const TensorView flags{
      .dtype = DType::kBool, .shape = {1}, .data = as_bytes("a"), .owner = nullptr};
  EXPECT_EQ(error(flags, "a.gguf", {.format = FileFormat::kGguf}),
            ": tensor 'x' is of type BOOL, which GGUF has not; write a .safetensors file");
  EXPECT_EQ(error(large, "a.safetensors",
                  {.progress =
                       [](uint64_t, uint64_t) {
                         return Status(Error{ErrorCode::kCancelled, "enough"});
                       }}),
            ": enough");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SaveWeights, ProgressGoesToTheEnd) {
  std::vector<uint64_t> told;
  save(source_, "p.gguf",
       {.format = FileFormat::kGguf,
        .precision = DType::kF16,
        .progress = [&](uint64_t done, uint64_t total) {
          told.push_back(done);
          EXPECT_LE(done, total);
          return Status();
        }});
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), open_weights(source_)->total_bytes());
  EXPECT_GE(told.size(), 6U);  // The long vector takes two pieces.
}

TEST(Hashes, AreThoseThatPeopleKnow) {
  const TemporaryFolder folder;
  // SHA-256 of nothing; and of "abc" (FIPS 180-2).
  write_text(folder / "short.ckpt", "abc");
  EXPECT_EQ(*webui_short_hash(folder / "short.ckpt"), "e3b0c442");
  EXPECT_EQ(*tensor_hash(folder / "short.ckpt"), "");
  write_text(folder / "long.ckpt", std::string(0x100000, 'x') + "abc");
  EXPECT_EQ(*webui_short_hash(folder / "long.ckpt"), "ba7816bf");
  write_text(folder / "m.safetensors", file_bytes("{}") + "abc");
  EXPECT_EQ(tensor_hash(folder / "m.safetensors")->substr(0, 12), "ba7816bf8f01");
  EXPECT_TRUE(*has_tensor_hash(folder / "m.safetensors"));
  EXPECT_FALSE(*has_tensor_hash(folder / "long.ckpt"));
  EXPECT_EQ(webui_short_hash(folder / "none").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace safelight::weights
