#include "pipelines/feature_store.h"

#include <gtest/gtest.h>

#include "support/random_tensor.h"

namespace safelight::pipelines {
namespace {

using engine::Precision;

/// Rows written in two parts come back, from memory and from a file.
void check(Precision precision, uint64_t max_memory) {
  auto engine = std::move(*engine::make_engine(
      "cpu", {.precision = precision, .threads = 1, .max_memory = max_memory}));
  auto store = FeatureStore::make(*engine, 6, 5, 32);
  ASSERT_TRUE(store.ok()) << store.error().message;
  const Tensor rows =
      testing::rounded_to_bf16(testing::random_tensor({6 * 5, 32}, 1));  // exact in both precisions
  ASSERT_TRUE(store->write(0, 4, rows, 0).ok());
  ASSERT_TRUE(store->write(4, 2, rows, 4).ok());
  const auto part = store->read(3, 2);
  ASSERT_TRUE(part.ok());
  EXPECT_EQ(part->shape, (std::vector<int64_t>{10, 32}));
  EXPECT_TRUE(std::equal(part->begin(), part->end(), rows.begin() + 3 * 5 * 32));
}

TEST(FeatureStore, InMemory) {
  check(Precision::kF32, 0);
  check(Precision::kBF16, 0);
}

TEST(FeatureStore, InAFile) {
  check(Precision::kF32, 100);
  check(Precision::kBF16, 100);
}

TEST(FeatureStore, CountsAsTheEnginesMemory) {
  auto engine = std::move(*engine::make_engine(
      "cpu", {.precision = Precision::kF32, .threads = 1, .max_memory = 1000}));
  {
    const auto first = engine->reserve(400);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(engine->reserve(400).error().code, ErrorCode::kOutOfMemory);
  }
  EXPECT_TRUE(engine->reserve(400).ok());
}

}  // namespace
}  // namespace safelight::pipelines
