#include "text/extra_networks.h"

#include <gtest/gtest.h>

namespace safelight::text {
namespace {

std::string text_of(const std::string& prompt) { return take_network_tags(prompt).text; }

Result<std::vector<LoraTag>> loras_of(const std::string& prompt) {
  return lora_tags(take_network_tags(prompt).tags);
}

LoraTag lora_of(const std::string& prompt) {
  const auto loras = loras_of(prompt);
  EXPECT_TRUE(loras.ok()) << loras.error().message;
  EXPECT_EQ(loras->size(), 1U) << prompt;
  return loras->at(0);
}

std::string error_of(const std::string& prompt) {
  const auto loras = loras_of(prompt);
  return loras ? "" : loras.error().message;
}

TEST(NetworkTags, AreTakenOutOfThePrompt) {
  EXPECT_EQ(text_of("a <lora:x:0.8> cat"), "a  cat");
  EXPECT_EQ(text_of("<lora:x>a<lyco:y:1>"), "a");
  EXPECT_EQ(text_of("a < b > c, <3, <b>, x:y>"), "a < b > c, <3, <b>, x:y>");
  EXPECT_EQ(text_of("<lora:>, <:x>, <lora x:y>"), "<lora:>, <:x>, <lora x:y>");
  EXPECT_EQ(text_of("<lora:never closed"), "<lora:never closed");
  EXPECT_EQ(text_of("<<lora:x>>"), "<>");
  EXPECT_EQ(text_of("<ключ:значение>é"), "é");
  // Up to the next '>', whatever is between, as SD WebUI's expression has it.
  EXPECT_EQ(text_of("<lora:a\n<b:c>d"), "d");
}

TEST(NetworkTags, KeepTheirArguments) {
  const auto tags = take_network_tags("<a:b:c=d:e=f=g:>").tags;
  ASSERT_EQ(tags.size(), 1U);
  EXPECT_EQ(tags[0].kind, "a");
  EXPECT_EQ(tags[0].positional, (std::vector<std::string>{"b", "e=f=g", ""}));
  EXPECT_EQ(tags[0].find("c"), "d");
  EXPECT_FALSE(tags[0].find("e"));
}

TEST(LoraTags, WeighAsInSdWebui) {
  // extra_networks_lora.py: the first weight is the text encoder's, the second the UNet's.
  const auto weights = [](const std::string& prompt) {
    const LoraTag lora = lora_of(prompt);
    return std::pair(lora.text_encoder, lora.unet);
  };
  EXPECT_EQ(weights("<lora:x>"), std::pair(1., 1.));
  EXPECT_EQ(weights("<lora:x:0.8>"), std::pair(.8, .8));
  EXPECT_EQ(weights("<lora:x:0.5:-1>"), std::pair(.5, -1.));
  EXPECT_EQ(weights("<lora:x:0.5:unet=1>"), std::pair(.5, 1.));
  EXPECT_EQ(weights("<lora:x:te=0>"), std::pair(0., 0.));
  EXPECT_EQ(weights("<lora:x:0.5:0.7:te=1>"), std::pair(1., .7));
  EXPECT_EQ(weights("<lyco: x : +2 >"), std::pair(2., 2.));
  EXPECT_FALSE(lora_of("<lora:x:1:1>").rank);
  EXPECT_EQ(lora_of("<lora:x:1:1:8>").rank, 8);
  EXPECT_EQ(lora_of("<lora:x:1:dyn=4>").rank, 4);
  EXPECT_EQ(lora_of("<lora:my lora v1.2>").name, "my lora v1.2");
}

TEST(LoraTags, TakeBlockWeights) {
  const std::vector<double> outs = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
  EXPECT_EQ(lora_of("<lora:x:1:lbw=OUTS>").block_weights, outs);
  EXPECT_EQ(lora_of("<lora:x:1:1:OUTS>").block_weights, outs);
  const LoraTag listed = lora_of("<lora:x:0.5:1,0,0,0,0,0,0,0,0,0,0,0.25>");
  EXPECT_EQ(listed.block_weights.size(), 12U);
  EXPECT_EQ(listed.block_weights.back(), .25);
  EXPECT_EQ(listed.unet, .5);
}

TEST(LoraTags, TakeSdNextsParts) {
  const LoraTag lora = lora_of("<lora:x:0.5:in=0:out=2>");
  EXPECT_EQ(lora.text_encoder, .5);
  EXPECT_EQ(lora.unet, 1);
  ASSERT_EQ(lora.block_weights.size(), 26U);
  EXPECT_EQ(lora.block_weights[0], 1);
  EXPECT_EQ(lora.block_weights[1], 0);
  EXPECT_EQ(lora.block_weights[12], 0);
  EXPECT_EQ(lora.block_weights[13], .5);
  EXPECT_EQ(lora.block_weights[14], 2);
}

TEST(LoraTags, OtherKindsAreLeftOut) {
  const auto loras = loras_of("<lora:a> <nobody:has:this> <lora:b>");
  ASSERT_TRUE(loras.ok());
  ASSERT_EQ(loras->size(), 2U);
  EXPECT_EQ(loras->at(1).name, "b");
}

TEST(LoraTags, SayWhatCannotBe) {
  EXPECT_EQ(error_of("<hypernet:old:0.5>"),
            "the prompt asks for the hypernetwork 'old'; hypernetworks are not supported. A LoRA "
            "does what they did");
  EXPECT_EQ(error_of("<lora:x:much>"),
            "<lora:x> has 'much' as its weight 'te'; a number from -100 to 100 is needed");
  EXPECT_EQ(error_of("<lora:x:1e9>"),
            "<lora:x> has '1e9' as its weight 'te'; a number from -100 to 100 is needed");
  EXPECT_EQ(
      error_of("<lora:x:1@0,0@0.5>"),
      "<lora:x> has a weight that changes from step to step; only constant ones are possible");
  EXPECT_EQ(
      error_of("<lora:x:te=1@0.5>"),
      "<lora:x> has a weight that changes from step to step; only constant ones are possible");
  EXPECT_EQ(error_of("<lora:x:1:stop=9>"), "<lora:x> has stop=; a LoRA acts in every step here");
  EXPECT_EQ(error_of("<lora::1>"), "<lora:> has no name");
  EXPECT_EQ(error_of("<lora:x:1:1:0.5>"),
            "<lora:x> has '0.5' as its rank; a whole number from 1 is needed");
  EXPECT_EQ(error_of("<lora:x:1:1:1:1>"),
            "<lora:x> has too many arguments; name, text encoder's weight, UNet's weight and rank "
            "are possible");
  EXPECT_EQ(
      error_of("<lora:x:1:lbw=1,2,3>"),
      "<lora:x> has 3 block weights; 12, 17, 20 or 26 numbers, or one of NONE, ALL, INS, IND, "
      "INALL, MIDD, OUTD, OUTS, OUTALL are needed");
  EXPECT_EQ(error_of("<lora:x:1:lbw=MINE>"),
            "<lora:x> has 'MINE' as a block weight; a number from -100 to 100 is needed");
  std::string many;
  for (size_t i = 0; i <= kMaxLoras; ++i) many += "<lora:x>";
  EXPECT_EQ(error_of(many), "the prompt asks for more than 64 LoRAs");
}

TEST(NetworkTags, AreFoundInLinearTime) {
  std::string open;
  for (int i = 0; i < 300000; ++i) open += "<a:";
  EXPECT_EQ(take_network_tags(open).text.size(), open.size());
  EXPECT_EQ(take_network_tags(open + ">").tags.size(), 1U);
}

}  // namespace
}  // namespace safelight::text
