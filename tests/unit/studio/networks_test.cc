// LoRAs and textual inversions that prompts ask for, on the shipped model.
#include <gtest/gtest.h>

#include "request/infotext.h"
#include "studio/studio.h"
#include "support/random_tensor.h"
#include "support/temporary_folder.h"
#include "weights/safetensors.h"

namespace safelight::studio {
namespace {

using pipelines::NetworkFile;
using request::Request;

/// Writes a file of tensors by their shapes, with random numbers.
void write(const std::filesystem::path& path,
           const std::map<std::string, std::vector<int64_t>>& shapes) {
  weights::TensorIndex::Map tensors;
  for (const auto& [name, shape] : shapes)
    tensors.emplace(name, weights::view_of(testing::random_tensor(shape, 1)));
  ASSERT_TRUE(weights::write_safetensors(path, tensors).ok());
}

class NetworksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string layer = "lora_unet_middle_block_1_transformer_blocks_0_attn2_to_k.";
    write(folder_.path() / "detail.safetensors",
          {{layer + "lora_down.weight", {4, 128}}, {layer + "lora_up.weight", {192, 4}}});
    write(folder_.path() / "learned.safetensors", {{"emb_params", {2, 128}}});
    write(folder_.path() / "other.safetensors", {{"clip_l", {2, 768}}, {"clip_g", {2, 1280}}});
    studio_ = std::move(*Studio::make(
        {.engine_options = {.precision = engine::Precision::kF32, .threads = 2},
         .find_model = shipped,
         .find_networks = {
             .lora = [this](const std::string& name, const std::string&) { return lora(name); },
             .embeddings = [this](const auto& is_wanted) { return embeddings(is_wanted); }},
         .version = "test"}));
  }

  static Result<ModelFile> shipped(const std::string&) {
    return ModelFile{SAFELIGHT_SOURCE_DIR "/models/emoji-128/emoji-128.safetensors", "emoji-128",
                     "9c380764f7"};
  }
  Result<NetworkFile> lora(const std::string& name) const {
    if (name != "detail") return Error{ErrorCode::kNotFound, "there is no lora '" + name + "'"};
    return NetworkFile{folder_.path() / "detail.safetensors", name, "0123456789ab"};
  }
  std::vector<NetworkFile> embeddings(
      const std::function<bool(const std::string&)>& is_wanted) const {
    std::vector<NetworkFile> files;
    for (const std::string name : {"learned", "other"}) {
      if (is_wanted(name))
        files.push_back({folder_.path() / (name + ".safetensors"), name, name + "-hash"});
    }
    return files;
  }

  struct Drawn {
    Status status;
    std::vector<Picture> pictures;
  };
  Drawn draw(const std::string& prompt, const std::string& negative = "",
             const std::string& missing = "refuse") {
    Request request;
    request.prompt = prompt;
    request.negative_prompt = negative;
    request.missing_networks = missing;
    request.seed = 5;
    request.steps = 2;
    request.width = request.height = 64;
    Drawn drawn;
    drawn.status = studio_->run(request, {.deliver = [&](const Picture& picture) {
                                  drawn.pictures.push_back(picture);
                                  return Status();
                                }});
    EXPECT_TRUE(drawn.status.ok() || drawn.pictures.empty());
    return drawn;
  }
  std::vector<uint8_t> pixels(const std::string& prompt, const std::string& negative = "") {
    const Drawn drawn = draw(prompt, negative);
    EXPECT_TRUE(drawn.status.ok()) << drawn.status.error().message;
    return drawn.pictures.empty() ? std::vector<uint8_t>()
                                  : drawn.pictures[0].image.pixels().pixels;
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Studio> studio_;
};

TEST_F(NetworksTest, ALoraActsWhileItIsAskedFor) {
  const auto plain = pixels("red apple");
  const auto with = pixels("red apple<lora:detail:1>");
  EXPECT_NE(with, plain);
  EXPECT_NE(pixels("red apple<lora:detail:0.3>"), with);
  EXPECT_EQ(pixels("red apple"), plain);
  EXPECT_EQ(pixels("red apple<lora:detail:1>"), with);
  // In the negative prompt a tag is neither text nor a LoRA.
  EXPECT_EQ(pixels("red apple", "blurry<lora:detail:1>"), pixels("red apple", "blurry"));
}

TEST_F(NetworksTest, PicturesTellOfThem) {
  const Drawn drawn = draw("red apple<lora:detail:0.8>", "learned");
  ASSERT_EQ(drawn.pictures.size(), 1U) << drawn.status.error().message;
  const std::string& text = drawn.pictures[0].infotext;
  EXPECT_TRUE(text.starts_with("red apple<lora:detail:0.8>\nNegative prompt: learned\n")) << text;
  EXPECT_NE(text.find("Lora hashes: \"detail: 0123456789ab\""), std::string::npos) << text;
  EXPECT_NE(text.find("TI hashes: \"learned: learned-hash\""), std::string::npos) << text;
  EXPECT_EQ(request::parse_infotext(text).request, drawn.pictures[0].request);
}

TEST_F(NetworksTest, LearnedWordsStandForTheirTokens) {
  const auto learned = pixels("learned");
  EXPECT_EQ(pixels("embedding:learned"), learned);
  EXPECT_NE(pixels("learne"), learned);
  EXPECT_NE(pixels("(learned:1.4)"), learned);
  // One for another model is text.
  const Drawn other = draw("other");
  ASSERT_EQ(other.pictures.size(), 1U);
  EXPECT_EQ(other.pictures[0].infotext.find("TI hashes"), std::string::npos);
}

TEST_F(NetworksTest, ALoraThatIsNotThereIsRefusedOrLeftOut) {
  const Drawn refused = draw("red apple<lora:nowhere:1>");
  ASSERT_FALSE(refused.status.ok());
  EXPECT_EQ(refused.status.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(refused.status.error().message, "there is no lora 'nowhere'");
  const Drawn left = draw("red apple<lora:nowhere:1>", "", "skip");
  ASSERT_EQ(left.pictures.size(), 1U) << left.status.error().message;
  EXPECT_EQ(left.pictures[0].image.pixels().pixels, pixels("red apple"));
  EXPECT_NE(left.pictures[0].infotext.find("Networks not found: nowhere"), std::string::npos);
  EXPECT_EQ(draw("<hypernet:x:1>").status.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(draw("<lora:detail:1:1:8>").status.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace safelight::studio
