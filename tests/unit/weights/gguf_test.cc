// GGUF and ggml's quantized types against gguf-py (tools/reference/record_quantized.py).
#include "weights/gguf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "unit/weights/support.h"
#include "weights/convert.h"
#include "weights/half.h"
#include "weights/inspect.h"
#include "weights/open_weights.h"
#include "weights/quantized.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

using graph::DType;
using std::string_literals::operator""s;

const std::filesystem::path kData = SAFELIGHT_SOURCE_DIR "/tests/golden/data/gguf";

const TensorIndex& recorded() {
  static const auto index = open_safetensors(kData / "blocks.safetensors");
  return index.value();
}

/// The recorded blocks of a type as a tensor of it.
TensorView blocks_of(DType type) {
  TensorView view = *recorded().find(std::string(graph::dtype_name(type)) + ".blocks");
  view.dtype = type;
  view.shape = {
      static_cast<int64_t>(view.data.size() / graph::dtype_size(type) * graph::dtype_block(type))};
  return view;
}

constexpr DType kQuantized[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,  DType::kQ5_1,
                                DType::kQ8_0, DType::kQ2K,  DType::kQ3K,   DType::kQ4K,
                                DType::kQ5K,  DType::kQ6K,  DType::kIQ4NL, DType::kIQ4XS};

bool same_bits(const Tensor& got, const TensorView& want) {
  return std::memcmp(got.data.data(), want.data.data(), want.data.size()) == 0 &&
         got.data.size() * sizeof(float) == want.data.size();
}

TEST(Quantized, EveryTypeIsDequantizedAsByGgml) {
  for (const DType type : kQuantized) {
    const std::string name(graph::dtype_name(type));
    EXPECT_TRUE(same_bits(to_tensor(blocks_of(type)), *recorded().find(name + ".f32"))) << name;
  }
}

TEST(Quantized, PartsMayBeginAndEndWithinBlocks) {
  for (const DType type : {DType::kQ5_1, DType::kQ3K}) {
    const TensorView view = blocks_of(type);
    const Tensor whole = to_tensor(view);
    std::vector<uint16_t> whole_bf16(whole.data.size());
    to_bf16(view, whole_bf16);
    for (const auto& [first, count] :
         {std::pair(0, 1), {5, 40}, {31, 2}, {250, 260}, {256, 256}, {300, 0}, {511, 1}}) {
      std::vector<float> part(static_cast<size_t>(count));
      std::vector<uint16_t> part_bf16(part.size());
      to_f32(view, first, part);
      to_bf16(view, first, part_bf16);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first)) << first;
      EXPECT_TRUE(std::equal(part_bf16.begin(), part_bf16.end(), whole_bf16.begin() + first));
    }
    std::vector<float> beyond(2);
    EXPECT_THROW(to_f32(view, view.count() - 1, beyond), std::logic_error);
    EXPECT_THROW(to_f32(view, -1, beyond), std::logic_error);
  }
}

TEST(Quantized, ScalesThatAreNotFiniteAreFound) {
  for (const DType type : kQuantized) {
    TensorView view = blocks_of(type);
    EXPECT_FALSE(has_non_finite(view)) << graph::dtype_name(type);
    std::vector<std::byte> damaged(view.data.begin(), view.data.end());
    size_t found = 0;
    for (size_t at = 0; at + 1 < graph::dtype_size(type); ++at) {
      const auto saved = std::pair(damaged[at], damaged[at + 1]);
      damaged[at] = std::byte{0};
      damaged[at + 1] = std::byte{0x7C};  // infinity, if a scale is here
      view.data = damaged;
      const Tensor values = to_tensor(view);
      const bool finite = std::all_of(values.begin(), values.end(),
                                      [](float value) { return std::isfinite(value); });
      EXPECT_EQ(has_non_finite(view), !finite) << graph::dtype_name(type) << " byte " << at;
      found += finite ? 0 : 1;
      std::tie(damaged[at], damaged[at + 1]) = saved;
    }
    EXPECT_GE(found, 1U) << graph::dtype_name(type);
  }
}

TEST(Quantized, Q8_0IsMadeAsByGgml) {
  const auto source = to_tensor(*recorded().find("q8_0.source"));
  const TensorView& want = *recorded().find("q8_0.quantized");
  std::vector<std::byte> got(want.data.size());
  quantize_q8_0(source.data, got.data());
  EXPECT_TRUE(std::equal(got.begin(), got.end(), want.data.begin(), want.data.end()));
  std::vector<float> tiny(32, 1e-41F);
  quantize_q8_0(tiny, got.data());
  EXPECT_EQ(std::to_integer<int>(got[0]) | std::to_integer<int>(got[2]), 0);
}

TEST(Half, EveryHalfIsItselfAgainAndRoundingIsToEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_f32(half);
    EXPECT_EQ(f32_to_f16(value), std::isnan(value) ? (half & 0x8000) | 0x7E00 : half);
  }
  const auto between = [](float a, float b) { return f32_to_f16((a + b) / 2); };
  for (uint16_t half = 0; half < 0x7BFF; ++half) {
    const uint16_t even = half % 2 == 0 ? half : static_cast<uint16_t>(half + 1);
    const float low = f16_to_f32(half), high = f16_to_f32(static_cast<uint16_t>(half + 1));
    EXPECT_EQ(between(low, high), even) << half;
    EXPECT_EQ(f32_to_f16(std::nextafter((low + high) / 2, high)), half + 1);
  }
  EXPECT_EQ(f32_to_f16(65519.996F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e30F), 0xFC00);
}

TEST(Gguf, EveryTensorEqualsTheReferences) {
  const auto expected = open_safetensors(kData / "expected.safetensors");
  ASSERT_TRUE(expected.ok());
  for (const std::string file : {"sdcpp.gguf", "comfy.gguf"}) {
    const auto index = open_weights(kData / file);
    ASSERT_TRUE(index.ok()) << index.error().message;
    EXPECT_EQ(index->format, FileFormat::kGguf);
    size_t found = 0;
    for (const auto& [name, want] : *expected) {
      if (!name.starts_with(file + ":")) continue;
      ++found;
      const TensorView* got = index->find(name.substr(file.size() + 1));
      ASSERT_NE(got, nullptr) << name;
      EXPECT_EQ(got->count(), want.count()) << name;
      EXPECT_TRUE(got->shape == want.shape || want.shape.front() == 1) << name;
      EXPECT_TRUE(same_bits(to_tensor(*got), want)) << name;
    }
    EXPECT_EQ(index->size(), found);
  }
}

TEST(Gguf, NotesBecomeMetadataAndFilesAreNamed) {
  const auto sdcpp = inspect(kData / "sdcpp.gguf", {.list_tensors = true});
  ASSERT_TRUE(sdcpp.ok());
  EXPECT_EQ(sdcpp->metadata.at("general.name"), "a test");
  EXPECT_EQ(name_of(sdcpp->format), "gguf");
  EXPECT_NE(to_text(*sdcpp).find("model.diffusion_model.y.weight Q4_K [2, 512]"),
            std::string::npos);
  const auto comfy = inspect(kData / "comfy.gguf");
  ASSERT_TRUE(comfy.ok());
  EXPECT_EQ(comfy->kind, FileKind::kDenoiser);
  EXPECT_EQ(comfy->dialect, Dialect::kOriginal);
  EXPECT_EQ(comfy->metadata.at("general.architecture"), "sd1");
}

// --- damage ---

template <class T>
std::string le(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
std::string text(const std::string& value) { return le(uint64_t{value.size()}) + value; }

std::string start(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
  return "GGUF" + le(version) + le(tensors) + le(pairs);
}

/// A file of one tensor 'x', its header and `data` bytes.
std::string one(const std::vector<uint64_t>& sizes, uint32_t type, uint64_t offset, size_t data) {
  std::string file = start(1, 0) + text("x") + le(static_cast<uint32_t>(sizes.size()));
  for (const uint64_t size : sizes) file += le(size);
  file += le(type) + le(offset);
  file.resize((file.size() + 31) / 32 * 32 + data);
  return file;
}

std::string error_of(const std::string& bytes) {
  const auto index = parse_gguf(as_bytes(bytes), "m.gguf");
  if (index) return "";
  EXPECT_TRUE(index.error().message.starts_with("m.gguf: ")) << index.error().message;
  return index.error().message.substr(8);
}

TEST(Gguf, DamageIsFound) {
  const uint64_t huge = uint64_t{1} << 62;
  const std::string cut = "is cut short within its header; download it again";
  EXPECT_EQ(error_of(one({2, 3}, 0, 0, 24)), "");
  const std::pair<std::string, std::string> cases[] = {
      {"GGUF", cut},
      {start(0, 0, 0x03000000), "is a GGUF file of a big-endian machine"},
      {start(0, 0, 1), "is GGUF of version 1; 2 and 3 are read"},
      {start(0, 0, 4), "is GGUF of version 4; 2 and 3 are read"},
      {start(huge, 0), "says that it has 4611686018427387904 tensors and 0 notes"},
      {start(0, ~uint64_t{0}), "says that it has 0 tensors and 18446744073709551615 notes"},
      {start(100'000, 0), cut},
      {start(0, 1) + le(huge), cut},
      {start(0, 1) + text("k") + le(99U), "note 'k' is of an unknown kind (99)"},
      {start(0, 1) + text("k") + le(8U) + le(huge), cut},
      {start(0, 1) + text("k") + le(9U) + le(4U) + le(huge), cut},
      {start(0, 1) + text("k") + le(9U) + le(8U) + le(huge), cut},
      {start(0, 1) + text("k") + le(9U) + le(9U) + le(huge), cut},
      {start(0, 1) + text("k") + le(9U) + le(77U) + le(huge), "has a list of an unknown kind (77)"},
      {start(0, 2) + text("k") + le(4U) + le(1U) + text("k") + le(4U) + le(1U),
       "has the note 'k' twice"},
      {start(0, 1) + text("general.alignment") + le(4U) + le(24U),
       "aligns its tensors to 24 bytes; a power of two is needed"},
      {start(0, 1) + text("split.count") + le(2U) + le(uint16_t{3}), "is one of 3 parts"},
      {one({1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 0, 4), "tensor 'x' has 9 dimensions"},
      {one({huge, huge}, 0, 0, 4), "tensor 'x' has more elements than 2^63 - 1"},
      {one({~uint64_t{0}}, 0, 0, 4), "tensor 'x' has more elements than 2^63 - 1"},
      {one({huge}, 0, 0, 4), "tensor 'x' of shape [4611686018427387904] at byte 0 goes past"},
      {one({2}, 0, ~uint64_t{0}, 8), "tensor 'x' of shape [2] at byte 18446744073709551615"},
      {one({2}, 0, 4, 8), "tensor 'x' of shape [2] at byte 4 goes past the end"},
      {one({16}, 8, 0, 34), "tensor 'x' of type Q8_0 has rows of 16; a multiple of 32 is needed"},
      {one({32}, 8, 0, 33), "tensor 'x' of shape [32] at byte 0 goes past the end"},
      {one({32}, 16, 0, 99), "tensor 'x' is of type IQ2_XXS, which is not read"},
      {one({32}, 4, 0, 99), "tensor 'x' is of type 4, which is not read"},
  };
  for (const auto& [bytes, error] : cases) {
    EXPECT_TRUE(error_of(bytes).starts_with(error)) << error_of(bytes) << "\nnot " << error;
  }
  std::string twice = start(2, 0);
  for (int i = 0; i < 2; ++i) twice += text("x") + le(0U) + le(24U) + le(uint64_t{0});
  twice.resize((twice.size() + 31) / 32 * 32 + 1);
  EXPECT_TRUE(error_of(twice).starts_with("m.gguf: tensor 'x' is there already"));
}

TEST(Gguf, EveryCutGivesOneError) {
  const std::string file = *read_file(kData / "comfy.gguf");
  for (size_t size = 0; size < file.size(); ++size) {
    const auto index = parse_gguf(as_bytes(std::string_view(file).substr(0, size)), "m.gguf");
    // The last tensor may end in padding.
    if (index) {
      EXPECT_GE(size + 32, file.size());
    }
  }
}

TEST(ScaledFloats, EqualTorchsProducts) {
  const std::filesystem::path folder = SAFELIGHT_SOURCE_DIR "/tests/golden/data/torch";
  const auto expected = open_safetensors(folder / "expected.safetensors");
  const auto index = open_weights(folder / "scaled.safetensors");
  ASSERT_TRUE(index.ok() && expected.ok());
  EXPECT_EQ(index->size(), 3U);
  for (const auto& [name, tensor] : *index) {
    const TensorView* want = expected->find("scaled.safetensors:" + name);
    ASSERT_NE(want, nullptr) << name;
    EXPECT_TRUE(same_bits(to_tensor(tensor), *want)) << name;
    std::vector<float> part(11);
    to_f32(tensor, 6, part);
    EXPECT_EQ(std::memcmp(part.data(), want->data.data() + 6 * sizeof(float), 11 * sizeof(float)),
              0);
  }
}

TEST(ScaledFloats, ScalesThatDoNotFitAreRefused) {
  const TemporaryFolder folder;
  const auto error_with = [&](std::vector<float> scales) {
    TensorIndex::Map tensors;
    tensors.emplace(
        "a.weight",
        TensorView{
            .dtype = DType::kF8E4M3, .shape = {2, 2}, .data = as_bytes("abcd"), .owner = nullptr});
    const auto count = static_cast<int64_t>(scales.size());
    tensors.emplace("a.scale_weight", view_of(Tensor({count}, std::move(scales))));
    EXPECT_TRUE(write_safetensors(folder / "m.safetensors", tensors).ok());
    const auto index = open_weights(folder / "m.safetensors");
    return index ? "" : index.error().message;
  };
  EXPECT_EQ(error_with({1}), "");
  EXPECT_EQ(error_with({1, 2}), "");
  EXPECT_EQ(error_with({1, INFINITY}),
            "m.safetensors: tensor 'a.scale_weight' holds NaN or infinite values");
  EXPECT_EQ(error_with({1, 2, 3}),
            "m.safetensors: tensor 'a.scale_weight' is of type F32 and shape [3]; one real number, "
            "or one for each of the 2 rows of 'a.weight' is read");
}

}  // namespace
}  // namespace safelight::weights
