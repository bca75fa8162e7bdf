// Which models stay in memory.
#include "studio/model_cache.h"

#include <gtest/gtest.h>

#include <set>

namespace safelight::studio {
namespace {

std::set<std::string> alive;
std::vector<std::string> loads;

/// A model of a size that grows when it is used, as packing does.
class FakeModel : public pipelines::LatentModel {
 public:
  FakeModel(std::string name, uint64_t size) : name_(std::move(name)), size_(size) {
    alive.insert(name_);
    loads.push_back(name_);
  }
  ~FakeModel() override { alive.erase(name_); }
  void grow(uint64_t size) { size_ = size; }

  const pipelines::ModelTraits& traits() const override { return traits_; }
  void set_traits(pipelines::ModelTraits traits) override { traits_ = std::move(traits); }
  Result<pipelines::Conditioning> encode(const std::vector<text::TokenChunk>&,
                                         const pipelines::EncodeOptions&,
                                         const engine::StopFlag*) override {
    return Error{ErrorCode::kUnsupported, "fake"};
  }
  Result<std::unique_ptr<pipelines::Predictor>> predictor(
      const std::vector<const pipelines::Conditioning*>&, int64_t, int64_t,
      const pipelines::PassOptions&, const engine::StopFlag*) override {
    return Error{ErrorCode::kUnsupported, "fake"};
  }
  Result<Tensor> decode(const Tensor&, const engine::StopFlag*) override { return Tensor(); }
  uint64_t bytes() const override { return size_; }

 private:
  pipelines::ModelTraits traits_{.schedule = diffusion::NoiseSchedule::sd1()};
  std::string name_;
  uint64_t size_;
};

class ModelCacheTest : public ::testing::Test {
 protected:
  ModelCacheTest() { loads.clear(); }

  /// Loads a model of 100 bytes, or the one that is there.
  Status use(const std::string& name, uint64_t grown = 100) {
    const auto got = cache_.get({"/models/" + name, name, "", "sha of " + name});
    if (!got) return got.error();
    EXPECT_EQ((*got)->file.name, name);
    static_cast<FakeModel&>(*(*got)->model).grow(grown);
    return {};
  }

  ModelCache cache_{
      [](const ModelFile& file) -> Result<std::unique_ptr<pipelines::LatentModel>> {
        if (file.name == "bad") return Error{ErrorCode::kCorruptFile, "no model"};
        return std::unique_ptr<pipelines::LatentModel>(std::make_unique<FakeModel>(file.name, 0));
      },
      250};
};

using Names = std::set<std::string>;
using List = std::vector<std::string>;

TEST_F(ModelCacheTest, SwitchesWithoutLoadingWhatFits) {
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("b").ok());
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("b").ok());
  EXPECT_EQ(loads, (List{"a", "b"}));
  EXPECT_EQ(cache_.bytes(), 200U);
  EXPECT_EQ(cache_.models().front().file.name, "b");
}

TEST_F(ModelCacheTest, TheLeastRecentlyUsedGoesWhenMemoryIsShort) {
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("b").ok());
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("c").ok());  // its size is known after its first use only
  EXPECT_EQ(cache_.bytes(), 300U);
  cache_.shrink();
  EXPECT_EQ(alive, (Names{"a", "c"}));
  // Now the size of b is known: room is made before it is loaded.
  ASSERT_TRUE(use("b").ok());
  EXPECT_EQ(alive, (Names{"b", "c"}));
  EXPECT_EQ(loads, (List{"a", "b", "c", "b"}));
}

TEST_F(ModelCacheTest, TheLastOneUsedStaysEvenWhenItIsTooLarge) {
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("b", 1000).ok());
  cache_.shrink();
  EXPECT_EQ(alive, Names{"b"});
  ASSERT_TRUE(use("a").ok());
  EXPECT_EQ(alive, Names{"a"});
}

TEST_F(ModelCacheTest, PinnedModelsStay) {
  cache_.set_pinned({"a", "sha of b"});
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("c").ok());
  ASSERT_TRUE(use("b").ok());
  cache_.shrink();
  EXPECT_EQ(alive, (Names{"a", "b"}));
  const Status refused = use("c");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().message.find("pin fewer"), std::string::npos);
  EXPECT_EQ(alive, (Names{"a", "b"}));
  // By name they go.
  EXPECT_TRUE(cache_.drop("a"));
  EXPECT_TRUE(use("c").ok());
}

TEST_F(ModelCacheTest, DropsByNameAndHash) {
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("b").ok());
  EXPECT_TRUE(cache_.drop("sha of a"));
  EXPECT_FALSE(cache_.drop("a"));
  EXPECT_FALSE(cache_.drop(""));
  cache_.clear();
  EXPECT_TRUE(alive.empty());
}

TEST_F(ModelCacheTest, AFailureToLoadChangesNothing) {
  ASSERT_TRUE(use("a").ok());
  EXPECT_EQ(use("bad").error().message, "no model");
  EXPECT_EQ(alive, Names{"a"});
  EXPECT_FALSE(cache_.drop_one()) << "the last one used stays";
}

TEST_F(ModelCacheTest, AFileOfAnotherHashIsAnotherModel) {
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(cache_.get({"/models/a", "a", "", "replaced"}).ok());
  EXPECT_EQ(loads.size(), 2U);
}

}  // namespace
}  // namespace safelight::studio
