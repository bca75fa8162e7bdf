#include "app/network_files.h"

#include <gtest/gtest.h>

#include "support/random_tensor.h"
#include "support/temporary_folder.h"
#include "weights/safetensors.h"

namespace safelight::app {
namespace {

class NetworkFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_.path() / "Lora/sub");
    std::filesystem::create_directories(folder_.path() / "embeddings/negative");
    write("Lora/detail.safetensors", "lora_unet_x.lora_down.weight", {});
    write("Lora/sub/style_v2.safetensors", "lora_unet_y.lora_down.weight",
          {{"ss_output_name", "My Style"}});
    write("embeddings/negative/bad-hands.safetensors", "emb_params", {});
    library_.catalog = ModelCatalog::scan({folder_.path()});
  }

  void write(const std::string& name, const std::string& tensor,
             const weights::TensorIndex::Metadata& metadata) {
    weights::TensorIndex::Map tensors;
    tensors.emplace(tensor, weights::view_of(testing::random_tensor({2, 8}, 1)));
    ASSERT_TRUE(weights::write_safetensors(folder_.path() / name, tensors, metadata).ok());
  }
  std::string found(const std::string& name, const std::string& hash = "") {
    const auto file = find_lora(library_, name, hash);
    return file ? file->path.filename().string() : file.error().message;
  }

  test::TemporaryFolder folder_;
  Library library_{{}, {}, {}, HashCache(folder_.path() / "hashes.json")};
};

TEST_F(NetworkFilesTest, LorasAreFoundByNameAliasAndHash) {
  EXPECT_EQ(found("detail"), "detail.safetensors");
  EXPECT_EQ(found("detail.safetensors"), "detail.safetensors");
  EXPECT_EQ(found("style_v2"), "style_v2.safetensors");
  EXPECT_EQ(found("My Style"), "style_v2.safetensors");
  // The hash is what SD WebUI tells of LoRAs: AutoV3.
  const auto hashes = library_.hashes.all(folder_.path() / "Lora/detail.safetensors");
  ASSERT_TRUE(hashes.ok());
  const auto file = find_lora(library_, "detail", "");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->hash, hashes->autov3.substr(0, 12));
  EXPECT_EQ(found("renamed", file->hash), "detail.safetensors");
  EXPECT_EQ(found(hashes->sha256.substr(0, 10)), "detail.safetensors");
}

TEST_F(NetworkFilesTest, WhatIsNotThereNamesTheNearest) {
  EXPECT_EQ(found("detial"), "there is no lora 'detial'; did you mean 'detail'?");
  // A name is no path.
  EXPECT_NE(found((folder_.path() / "Lora/detail.safetensors").string()), "detail.safetensors");
  EXPECT_NE(found("renamed", "ffffffffffff"), "detail.safetensors");
}

TEST_F(NetworkFilesTest, EmbeddingsAreFoundInFoldersBelow) {
  const auto files =
      find_embeddings(library_, [](const std::string& name) { return name == "bad-hands"; });
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].name, "bad-hands");
  EXPECT_EQ(files[0].hash.size(), 12U);
  EXPECT_TRUE(find_embeddings(library_, [](const std::string&) { return false; }).empty());
}

TEST_F(NetworkFilesTest, RequestsAreToldTheHashes) {
  request::Request request;
  request.prompt = "a <lora:detail:0.5> <lora:My Style:1>";
  ASSERT_TRUE(resolve_loras(library_, request).ok());
  const std::string detail = find_lora(library_, "detail", "")->hash,
                    style = find_lora(library_, "My Style", "")->hash;
  EXPECT_EQ(request.lora_hashes, "detail: " + detail + ", My Style: " + style);
  request.prompt = "a <lora:nowhere:1>";
  EXPECT_EQ(resolve_loras(library_, request).error().code, ErrorCode::kNotFound);
  request.missing_networks = "skip";
  EXPECT_TRUE(resolve_loras(library_, request).ok());
  EXPECT_EQ(request.lora_hashes, "");
  request.prompt = "<lora:detail:much>";
  EXPECT_EQ(resolve_loras(library_, request).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace safelight::app
