#include "pipelines/prompt_conditioning.h"

#include <gtest/gtest.h>

namespace safelight::pipelines {
namespace {

/// Encodes a prompt to its tokens, so that a conditioning tells what was encoded.
class TokenModel : public LatentModel {
 public:
  int calls = 0;

  const ModelTraits& traits() const override { return traits_; }
  void set_traits(ModelTraits) override {}
  Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks,
                              const EncodeOptions& options, const engine::StopFlag*) override {
    ++calls;
    Tensor tokens({1, static_cast<int64_t>(chunks.size()), text::kContext});
    float* out = tokens.begin();
    for (const text::TokenChunk& chunk : chunks) {
      for (size_t i = 0; i < text::kContext; ++i)
        *out++ = static_cast<float>(chunk.tokens[i]) * chunk.weights[i];
    }
    return Conditioning{.context = std::move(tokens),
                        .vector = Tensor({1}, {options.negative ? 1.0F : 0.0F})};
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

class PromptConditioningTest : public ::testing::Test {
 protected:
  Result<PromptConditioning> encode(const request::Request& request, int64_t evaluations = 1) {
    return PromptConditioning::encode({.model = model_, .words = words_}, request, evaluations);
  }
  /// What the model gives for a text of `chunks` chunks.
  std::vector<float> tokens(const std::string& text, size_t chunks = 1) {
    auto cut = text::chunk_prompt(text::ClipTokenizer::instance(), text::parse_prompt(text)).chunks;
    cut.resize(chunks);
    return model_.encode(cut, {}, nullptr)->context.data;
  }
  static std::vector<float> positive(const PromptConditioning& prompts, int64_t evaluation,
                                     size_t part = 0) {
    return prompts.at(evaluation).positive.at(part).conditioning->context.data;
  }

  TokenModel model_;
  text::Vocabulary words_;
};

TEST_F(PromptConditioningTest, FollowsTheSchedulesOfBothPrompts) {
  request::Request request;
  request.prompt = "a [cat:dog:3]";
  request.negative_prompt = "[ugly::5]";
  request.steps = 10;
  const auto prompts = encode(request);
  ASSERT_TRUE(prompts.ok());
  // Two texts of each prompt; as SD WebUI counts, a switch at 3 comes in the fifth evaluation.
  EXPECT_EQ(model_.calls, 4);
  EXPECT_EQ(positive(*prompts, 3), tokens("a cat"));
  EXPECT_EQ(positive(*prompts, 4), tokens("a dog"));
  EXPECT_EQ(positive(*prompts, 9), tokens("a dog"));
  EXPECT_EQ(prompts->at(5).negative->context.data, tokens("ugly"));
  EXPECT_EQ(prompts->at(6).negative->context.data, tokens(""));
  EXPECT_EQ(prompts->at(6).negative->vector.data[0], 1);
  // Beyond the last step SD WebUI starts over.
  EXPECT_EQ(positive(*prompts, 11), tokens("a cat"));
}

TEST_F(PromptConditioningTest, CountsEvaluationsOfSecondOrderSamplers) {
  request::Request request;
  request.prompt = "[cat:dog:0.5]";
  request.steps = 10;
  const auto prompts = encode(request, 2);
  ASSERT_TRUE(prompts.ok());
  EXPECT_EQ(positive(*prompts, 10), tokens("cat"));
  EXPECT_EQ(positive(*prompts, 11), tokens("dog"));
}

TEST_F(PromptConditioningTest, AlternatesAndEncodesEachTextOnce) {
  request::Request request;
  request.prompt = "[cat|dog]";
  request.steps = 20;
  const auto prompts = encode(request);
  ASSERT_TRUE(prompts.ok());
  EXPECT_EQ(model_.calls, 3);
  EXPECT_EQ(positive(*prompts, 1), tokens("cat"));
  EXPECT_EQ(positive(*prompts, 2), tokens("dog"));
  EXPECT_EQ(positive(*prompts, 3), tokens("cat"));
}

TEST_F(PromptConditioningTest, CutsAtAnd) {
  request::Request request;
  request.prompt = "cat AND a [dog:fox:5] :0.5 AND cat:-1";
  request.negative_prompt = "ugly AND bad";
  request.steps = 10;
  const auto prompts = encode(request);
  ASSERT_TRUE(prompts.ok());
  const StepConditioning& late = prompts->at(9);
  ASSERT_EQ(late.positive.size(), 3U);
  EXPECT_EQ(late.positive[0].weight, 1);
  EXPECT_EQ(late.positive[1].weight, 0.5);
  EXPECT_EQ(late.positive[2].weight, -1);
  EXPECT_EQ(positive(*prompts, 9, 1), tokens(" a fox"));
  EXPECT_EQ(positive(*prompts, 9, 2), tokens("cat"));
  EXPECT_EQ(late.negative->context.data, tokens("ugly AND bad"));
}

TEST_F(PromptConditioningTest, PadsWhatIsReadTogether) {
  request::Request request;
  request.prompt = "cat BREAK dog AND fox";
  const auto prompts = encode(request);
  ASSERT_TRUE(prompts.ok());
  EXPECT_EQ(positive(*prompts, 0, 1), tokens(" fox", 2));
  EXPECT_EQ(prompts->at(0).negative->context.data, tokens("", 2));
}

TEST_F(PromptConditioningTest, OtherSyntaxesHaveNoSchedules) {
  request::Request request;
  request.prompt_syntax = "comfyui";
  request.prompt = "((cat:1.2):1.5) AND [dog]";
  auto prompts = encode(request);
  ASSERT_TRUE(prompts.ok());
  ASSERT_EQ(prompts->at(0).positive.size(), 1U);
  EXPECT_EQ(positive(*prompts, 0), tokens("(cat:1.2) AND \\[dog\\]"));
  request.prompt_syntax = "fixed";
  request.prompt = "(cat) [a:b:3]";
  prompts = encode(request);
  ASSERT_TRUE(prompts.ok());
  EXPECT_EQ(positive(*prompts, 0), tokens("\\(cat\\) \\[a:b:3\\]"));
}

TEST_F(PromptConditioningTest, BoundsWhatIsKept) {
  request::Request request;
  request.steps = 1000;
  std::string primes;  // the texts of all of these together are thousands
  for (const size_t options : {7, 11, 13}) {
    std::string bars;
    for (size_t i = 0; i < options; ++i)
      bars += (i == 0 ? "" : "|") + std::string(1, static_cast<char>('a' + i));
    primes += "[" + bars + "] ";
  }
  request.prompt = primes;
  const auto prompts = encode(request);
  ASSERT_FALSE(prompts.ok());
  EXPECT_EQ(prompts.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace safelight::pipelines
