#include "app/model_parts.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temporary_folder.h"

namespace safelight::app {
namespace {

using pipelines::ModelPart;

class ModelPartsTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text = "x") {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  Library library() {
    return Library{Paths{}, Config{}, ModelCatalog::scan({folder_.path()}),
                   HashCache(folder_.path() / "hashes.json")};
  }
  studio::ModelFile checkpoint(const std::string& name) {
    return {folder_.path() / "Stable-diffusion" / name, name, "", ""};
  }

  test::TemporaryFolder folder_;
};

TEST_F(ModelPartsTest, AVaeBesideTheCheckpointIsFoundAndIsNoCheckpoint) {
  write("Stable-diffusion/a.safetensors");
  write("Stable-diffusion/a.vae.pt", "vae");
  write("Stable-diffusion/b.safetensors");
  Library library = this->library();
  const auto beside = find_part(library, ModelPart::kVae, "", checkpoint("a.safetensors"));
  ASSERT_TRUE(beside.ok()) << beside.error().message;
  ASSERT_TRUE(beside->has_value());
  EXPECT_EQ((*beside)->name, "a.vae");
  EXPECT_EQ((*beside)->sha256.size(), 64U);
  EXPECT_FALSE(find_part(library, ModelPart::kVae, "", checkpoint("b.safetensors"))->has_value());
  // By the name that pictures tell of it.
  const auto named = find_part(library, ModelPart::kVae, "a.vae", checkpoint("b.safetensors"));
  ASSERT_TRUE(named.ok()) << named.error().message;
  EXPECT_EQ((*named)->path, (*beside)->path);
  EXPECT_FALSE(library.catalog.find("a.vae", ModelKind::kCheckpoint, library.hashes).ok());
}

TEST_F(ModelPartsTest, OtherPartsAreFoundByNameInTheirFolders) {
  write("VAE/mse.safetensors");
  write("unet/flat.gguf");
  write("clip/clip_l.safetensors");
  Library library = this->library();
  const studio::ModelFile model = checkpoint("a.safetensors");
  EXPECT_EQ((*find_part(library, ModelPart::kVae, "mse", model))->name, "mse");
  EXPECT_EQ((*find_part(library, ModelPart::kUnet, "flat", model))->name, "flat");
  EXPECT_EQ((*find_part(library, ModelPart::kTextEncoder, "clip_l", model))->name, "clip_l");
  const auto missing = find_part(library, ModelPart::kVae, "mss", model);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find("mse"), std::string::npos);
}

TEST_F(ModelPartsTest, TinyDecodersLieInTheFoldersOfOtherPrograms) {
  write("VAE-approx/taesd_decoder.pth");
  write("vae_approx/taesdxl_decoder.safetensors");
  const Library library = this->library();
  EXPECT_EQ(find_tiny_decoder(library, "taesd")->filename(), "taesd_decoder.pth");
  EXPECT_EQ(find_tiny_decoder(library, "taesdxl")->filename(), "taesdxl_decoder.safetensors");
  EXPECT_FALSE(find_tiny_decoder(library, "taef1"));
}

}  // namespace
}  // namespace safelight::app
