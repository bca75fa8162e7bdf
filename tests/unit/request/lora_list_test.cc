#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "request/request.h"

namespace safelight::request {
namespace {

std::string prompt_of(const std::string& loras) {
  const auto request =
      from_json(boost::json::parse(R"({"prompt": "a cat", "loras": )" + loras + "}"));
  return request ? request->prompt : request.error().message;
}

TEST(LoraList, BecomesTags) {
  EXPECT_EQ(prompt_of("null"), "a cat");
  EXPECT_EQ(prompt_of("[]"), "a cat");
  EXPECT_EQ(prompt_of(R"(["x", {"name": "y z", "weight": 0.8}])"), "a cat<lora:x:1><lora:y z:0.8>");
  EXPECT_EQ(prompt_of(R"([{"name": "x", "unet": 0.5}])"), "a cat<lora:x:1:0.5>");
  EXPECT_EQ(prompt_of(R"([{"name": "x", "text_encoder": 0, "unet": -1}])"), "a cat<lora:x:0:-1>");
}

TEST(LoraList, SaysWhatItNeeds) {
  const std::string example = "; [{\"name\": \"x\", \"weight\": 0.8}] is an example";
  EXPECT_EQ(prompt_of("3"), "loras is no list" + example);
  EXPECT_EQ(prompt_of("[3]"), "loras has an element that is no object" + example);
  EXPECT_EQ(
      prompt_of(R"([{"weight": 1}])"),
      "loras has '' as a name; one without ':', '>', '=' and line breaks is needed" + example);
  EXPECT_EQ(
      prompt_of(R"(["a:b"])"),
      "loras has 'a:b' as a name; one without ':', '>', '=' and line breaks is needed" + example);
  EXPECT_EQ(prompt_of(R"([{"name": "x", "size": 1}])"),
            "loras has a member 'size' that is none of name, weight, unet and text_encoder, or of "
            "another type" +
                example);
  EXPECT_EQ(prompt_of(R"([{"name": "x", "weight": 1, "unet": 1}])"),
            "loras has 'weight' beside 'unet' or 'text_encoder'" + example);
}

}  // namespace
}  // namespace safelight::request
