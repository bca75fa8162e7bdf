#include "weights/bound_weights.h"

#include <gtest/gtest.h>

#include <cstring>

#include "weights/convert.h"

namespace safelight::weights {
namespace {

/// A view of bytes that it owns.
TensorView view_of_bytes(graph::DType dtype, std::vector<int64_t> shape,
                         std::vector<uint8_t> bytes) {
  const auto owned = std::make_shared<std::vector<uint8_t>>(std::move(bytes));
  return {.dtype = dtype,
          .shape = std::move(shape),
          .data = std::as_bytes(std::span(*owned)),
          .owner = owned};
}

Result<BoundWeights> bind_one(const TensorView& tensor, const Param& param, TensorPlace place) {
  TensorIndex index;
  EXPECT_TRUE(index.add("fused", tensor, "file"));
  return bind(
      {param}, index, [&](const std::string&) { return place; }, "a test");
}

TEST(BoundWeights, PartsAreViewsOfTheFile) {
  const TensorView fused = view_of(Tensor({6, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  for (int64_t part = 0; part < 3; ++part) {
    const auto bound = bind_one(fused, {"p", {2, 2}}, {"fused", part, 3});
    ASSERT_TRUE(bound.ok()) << bound.error().message;
    const TensorView& view = bound->at("p");
    EXPECT_EQ(view.data.data(), fused.data.data() + part * 16);
    const auto first = static_cast<float>(4 * part);
    EXPECT_EQ(to_tensor(view).data, (std::vector<float>{first, first + 1, first + 2, first + 3}));
  }
}

TEST(BoundWeights, PartsOfQuantizedTensorsAreWholeBlocks) {
  // Three rows of one Q8_0 block: a half (1.0) and 32 bytes.
  std::vector<uint8_t> bytes;
  for (uint8_t row = 0; row < 3; ++row) {
    bytes.insert(bytes.end(), {0x00, 0x3C});
    bytes.insert(bytes.end(), 32, row);
  }
  const auto bound =
      bind_one(view_of_bytes(graph::DType::kQ8_0, {3, 32}, bytes), {"p", {1, 32}}, {"fused", 2, 3});
  ASSERT_TRUE(bound.ok()) << bound.error().message;
  EXPECT_EQ(bound->at("p").dtype, graph::DType::kQ8_0);
  EXPECT_EQ(to_tensor(bound->at("p")).data, std::vector<float>(32, 2.0F));
}

TEST(BoundWeights, PartsOfScaledFloatsHaveTheirRowsScales) {
  TensorView fused = view_of_bytes(graph::DType::kF8E4M3, {3, 1}, {0x38, 0x38, 0x38});  // 1.0
  fused.scales = std::make_shared<const std::vector<float>>(std::vector<float>{2, 3, 4});
  const auto bound = bind_one(fused, {"p", {1, 1}}, {"fused", 1, 3});
  ASSERT_TRUE(bound.ok()) << bound.error().message;
  EXPECT_EQ(to_tensor(bound->at("p")).data, std::vector<float>{3});
}

TEST(BoundWeights, TurnsWhatIsKeptTheOtherWayRound) {
  TensorPlace place("fused");
  place.transposed = true;
  const auto bound = bind_one(view_of(Tensor({2, 3}, {0, 1, 2, 3, 4, 5})), {"p", {3, 2}}, place);
  ASSERT_TRUE(bound.ok()) << bound.error().message;
  EXPECT_EQ(to_tensor(bound->at("p")).data, (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(bound->at("p").shape, (std::vector<int64_t>{3, 2}));
}

TEST(BoundWeights, SaysWhatDoesNotDivide) {
  const auto odd = bind_one(view_of(Tensor({4, 2})), {"p", {1, 2}}, {"fused", 0, 3});
  ASSERT_FALSE(odd.ok());
  EXPECT_EQ(odd.error().message,
            "file: tensor 'fused' has shape [4, 2]; a test needs one of 3 equal parts");
  const auto other = bind_one(view_of(Tensor({6, 2})), {"p", {3, 2}}, {"fused", 0, 3});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().message, "file: tensor 'fused' has shape [2, 2]; a test needs [3, 2]");
  TensorPlace turned("fused");
  turned.transposed = true;
  EXPECT_FALSE(bind_one(view_of(Tensor({3, 2})), {"p", {3, 2}}, turned).ok());
}

}  // namespace
}  // namespace safelight::weights
