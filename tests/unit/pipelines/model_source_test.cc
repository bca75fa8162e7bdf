#include "pipelines/model_source.h"

#include <gtest/gtest.h>

namespace safelight::pipelines {
namespace {

std::vector<std::string> names_of(const std::vector<WantedPart>& parts) {
  std::vector<std::string> names;
  for (const WantedPart& part : parts)
    names.push_back(std::to_string(static_cast<int>(part.part)) + part.name);
  return names;
}

TEST(WantedParts, AreThoseThatTheRequestNames) {
  request::Request request;
  EXPECT_EQ(names_of(wanted_parts(request)), std::vector<std::string>{"2"});  // beside the file
  request.vae = "None";
  EXPECT_TRUE(wanted_parts(request).empty());
  request.vae = "kl-f8";
  request.unet = "flat2D";
  request.text_encoder = "clip_l, ,clip_g";
  EXPECT_EQ(names_of(wanted_parts(request)),
            (std::vector<std::string>{"0flat2D", "1clip_l", "1clip_g", "2kl-f8"}));
  request.unet = "Automatic";
  request.text_encoder = "Default";
  request.vae = " automatic ";
  EXPECT_EQ(names_of(wanted_parts(request)), std::vector<std::string>{"2"});
}

}  // namespace
}  // namespace safelight::pipelines
