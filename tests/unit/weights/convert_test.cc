#include "weights/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "unit/weights/support.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

using graph::DType;

/// What torch made of each type (tools/reference/record_dtypes.py).
const TensorIndex& recorded() {
  static const Result<TensorIndex> index =
      open_safetensors(SAFELIGHT_SOURCE_DIR "/tests/golden/data/dtypes/dtypes.safetensors");
  return index.value();
}

/// The elements of a view, as they lie in the file.
template <class T>
std::vector<T> elements(const TensorView& view) {
  std::vector<T> copy(view.data.size() / sizeof(T));
  std::memcpy(copy.data(), view.data.data(), view.data.size());
  return copy;
}

constexpr const char* kTypes[] = {"f16",   "bf16", "f8_e4m3", "f8_e5m2", "f64",    "int64", "int32",
                                  "int16", "int8", "uint64",  "uint32",  "uint16", "uint8", "bool"};

void expect_same(float got, float want, const std::string& where) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << where;
  } else {
    EXPECT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(want)) << where;
  }
}

bool is_bf16_nan(uint16_t bits) { return (bits & 0x7FFF) > 0x7F80; }

TEST(Convert, ToFloat32EqualsTorchOnEveryRecordedValue) {
  for (const std::string type : kTypes) {
    const TensorView& source = *recorded().find(type);
    const auto want = elements<float>(*recorded().find(type + ".f32"));
    const Tensor got = to_tensor(source);
    ASSERT_EQ(got.data.size(), want.size()) << type;
    for (size_t i = 0; i < want.size(); ++i) {
      expect_same(got.data[i], want[i], type + " code " + std::to_string(i));
    }
  }
}

TEST(Convert, ToBfloat16EqualsTorchOnEveryRecordedValue) {
  for (const std::string type : kTypes) {
    if (type == "bf16") continue;
    const TensorView& source = *recorded().find(type);
    const auto want = elements<uint16_t>(*recorded().find(type + ".bf16"));
    std::vector<uint16_t> got(want.size());
    to_bf16(source, got);
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(got[i], is_bf16_nan(want[i]) ? 0x7FC0 : want[i]) << type << " code " << i;
    }
  }
}

TEST(Convert, Float32ToBfloat16RoundsAsTorch) {
  const auto want = elements<uint16_t>(*recorded().find("f32.bf16"));
  std::vector<uint16_t> got(want.size());
  to_bf16(*recorded().find("f32"), got);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i], is_bf16_nan(want[i]) ? 0x7FC0 : want[i]) << i;
  }
}

TEST(Convert, Bfloat16AndFloat32AreKeptBitForBit) {
  const TensorView& bf16 = *recorded().find("bf16");
  std::vector<uint16_t> same(65536);
  to_bf16(bf16, same);
  EXPECT_EQ(same, elements<uint16_t>(bf16));
  const TensorView& f32 = *recorded().find("f32");
  std::vector<float> floats(static_cast<size_t>(f32.count()));
  to_f32(f32, floats);
  EXPECT_EQ(std::memcmp(floats.data(), f32.data.data(), f32.data.size()), 0);
}

TEST(Convert, AnyAlignmentAndLengthGiveTheSame) {
  const TensorView& f16 = *recorded().find("f16");
  const Tensor want = to_tensor(f16);
  std::vector<std::byte> shifted(f16.data.size() + 1);
  std::memcpy(shifted.data() + 1, f16.data.data(), f16.data.size());
  for (const size_t n : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 1023u, 1025u}) {
    const TensorView view{
        DType::kF16, {static_cast<int64_t>(n)}, Bytes(shifted.data() + 1, 2 * n), nullptr};
    std::vector<float> floats(n);
    to_f32(view, floats);
    EXPECT_EQ(std::memcmp(floats.data(), want.data.data(), n * sizeof(float)), 0) << n;
    std::vector<uint16_t> narrow(n);
    to_bf16(view, narrow);
    for (size_t i = 0; i < n; ++i) {
      const float back = std::bit_cast<float>(static_cast<uint32_t>(narrow[i]) << 16);
      EXPECT_LE(std::abs(back - want.data[i]), std::abs(want.data[i]) / 256) << n << " " << i;
    }
  }
}

TEST(Convert, EmptyTensorsGiveNothing) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI64}) {
    const TensorView empty{dtype, {0, 3}, {}, nullptr};
    EXPECT_EQ(to_tensor(empty).size(), 0);
    to_bf16(empty, {});
    EXPECT_FALSE(has_non_finite(empty));
  }
}

TEST(Convert, AWrongBufferIsABug) {
  std::vector<float> wrong(3);
  EXPECT_THROW(to_f32(view_of(Tensor({4})), wrong), std::logic_error);
  TensorView lying = view_of(Tensor({3}));
  lying.shape = {4};
  EXPECT_THROW(to_f32(lying, wrong), std::logic_error);
}

TEST(HasNonFinite, AgreesWithEachRecordedValue) {
  for (const std::string type : {"f64", "f16", "bf16", "f8_e4m3", "f8_e5m2"}) {
    const TensorView& source = *recorded().find(type);
    const auto values = elements<float>(*recorded().find(type + ".f32"));
    const size_t size = graph::dtype_size(source.dtype);
    for (size_t i = 0; i < values.size(); ++i) {
      if (type == "f64" && std::isinf(values[i])) continue;  // May be finite in 64 bits.
      const TensorView one{source.dtype, {1}, source.data.subspan(i * size, size), nullptr};
      EXPECT_EQ(has_non_finite(one), !std::isfinite(values[i])) << type << " code " << i;
    }
  }
}

TEST(HasNonFinite, FindsOneBadElementAnywhere) {
  for (const int64_t n : {1, 5, 1023, 1024, 1030, 5000}) {
    Tensor values({n});
    EXPECT_FALSE(has_non_finite(view_of(values)));
    for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
      Tensor bad = values;
      bad.data[static_cast<size_t>(at)] = -std::numeric_limits<float>::infinity();
      EXPECT_TRUE(has_non_finite(view_of(bad))) << n << " " << at;
    }
  }
}

TEST(HasNonFinite, IntegersAreAlwaysFinite) {
  static constexpr uint32_t kOnes[2] = {0xFFFFFFFF, 0xFFFFFFFF};
  EXPECT_FALSE(has_non_finite({DType::kU32, {2}, std::as_bytes(std::span(kOnes)), nullptr}));
}

}  // namespace
}  // namespace safelight::weights
