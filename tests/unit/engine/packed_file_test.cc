#include "engine/cpu/packed_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "engine/engine.h"
#include "support/random_tensor.h"

namespace safelight::engine::cpu {
namespace {

class PackedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("safelight-packed-" + std::to_string(::getpid()));
    path_ = folder_ / "a.packed";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }
  void write() const {
    const PackedFile file(path_, "test");
    ASSERT_TRUE(file.write({{"x", "plain", bytes_of(first_)},
                            {"x", "other \"form\"", bytes_of(second_)},
                            {"empty", "plain", {}}})
                    .ok());
  }

  std::filesystem::path folder_, path_;
  std::string first_ = std::string(1000, 'a'), second_ = "short";
};

TEST_F(PackedFileTest, GivesBackWhatWasWritten) {
  write();
  const PackedFile file(path_, "test");
  const std::byte* first = file.find("x", "plain", 1000);
  const std::byte* second = file.find("x", "other \"form\"", 5);
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(std::memcmp(first, first_.data(), 1000), 0);
  EXPECT_EQ(std::memcmp(second, second_.data(), 5), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(second) % 64, 0U);
  EXPECT_EQ(file.find("x", "plain", 999), nullptr) << "another size";
  EXPECT_EQ(file.find("y", "plain", 1000), nullptr);
}

TEST_F(PackedFileTest, CountsAsEmptyForOtherCircumstancesAndWhereItIsMissing) {
  EXPECT_EQ(PackedFile(path_, "test").find("x", "plain", 1000), nullptr);
  write();
  EXPECT_EQ(PackedFile(path_, "another version").find("x", "plain", 1000), nullptr);
}

TEST_F(PackedFileTest, NeverGivesWhatWasDamaged) {
  write();
  std::string whole = *read_file(path_);
  const size_t at = whole.find(first_);
  ASSERT_NE(at, std::string::npos);
  for (const size_t flipped : {at, at + 999}) {
    std::string damaged = whole;
    damaged[flipped] ^= 1;
    ASSERT_TRUE(write_file_atomically(path_, damaged).ok());
    EXPECT_EQ(PackedFile(path_, "test").find("x", "plain", 1000), nullptr);
  }
  // Cut short anywhere, and any byte of the head changed: an empty file or the right piece.
  for (size_t cut = 0; cut < whole.size(); cut += 7) {
    ASSERT_TRUE(write_file_atomically(path_, whole.substr(0, cut)).ok());
    const PackedFile file(path_, "test");
    const std::byte* found = file.find("x", "plain", 1000);
    EXPECT_TRUE(found == nullptr || std::memcmp(found, first_.data(), 1000) == 0) << cut;
  }
  for (size_t flipped = 0; flipped < at; flipped += 3) {
    std::string damaged = whole;
    damaged[flipped] ^= 0x15;
    ASSERT_TRUE(write_file_atomically(path_, damaged).ok());
    const PackedFile file(path_, "test");
    const std::byte* found = file.find("x", "plain", 1000);
    EXPECT_TRUE(found == nullptr || std::memcmp(found, first_.data(), 1000) == 0) << flipped;
  }
}

/// A convolution and a linear layer through the whole engine: the second engine maps what the first
/// one packed, and computes the same.
TEST_F(PackedFileTest, EnginesShareWhatOneOfThemPacked) {
  graph::Graph g;
  const graph::Value x = g.input("x", {1, 8, 12, 12});
  g.output("y", g.conv2d(x, g.param("w", {16, 8, 3, 3}), {}, {.padding = {1, 1, 1, 1}}));
  const Tensor input = testing::random_tensor({1, 8, 12, 12}, 1),
               weight = testing::random_tensor({16, 8, 3, 3}, 2);
  const auto run = [&](const std::string& method, bool from_cache) {
    auto engine = std::move(*make_engine(
        "cpu",
        {.precision = Precision::kF32, .weights_cache = folder_, .product_methods = {method}}));
    weights::BoundWeights bound;
    // From the cache alone: the weights given are others.
    bound.insert("w", weights::view_of(from_cache ? Tensor({16, 8, 3, 3}) : weight));
    bound.identity = "model-unet";
    auto executable = engine->compile(g, engine->load(std::move(bound)));
    return (*run_once(**executable, {&input}, 1))[0];
  };
  for (const std::string method : {"onednn", "winograd"}) {
    const Tensor want = run(method, false);
    EXPECT_EQ(run(method, true).data, want.data) << method;
  }
}

}  // namespace
}  // namespace safelight::engine::cpu
