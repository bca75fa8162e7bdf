#include "app/model_files.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "unit/app/support.h"
#include "weights/safetensors.h"

namespace safelight::app {
namespace {

namespace fs = std::filesystem;

class ModelFiles : public ::testing::Test {
 protected:
  /// A LoRA by its names.
  fs::path put_lora(const std::string& name, float value = 1,
                    const weights::TensorIndex::Metadata& metadata = {}) {
    weights::TensorIndex::Map tensors;
    tensors.emplace("lora_unet_x.lora_down.weight", weights::view_of(Tensor({2}, {value, 2.0F})));
    EXPECT_TRUE(weights::write_safetensors(folder_ / name, tensors, metadata).ok());
    return folder_ / name;
  }

  Result<fs::path> add(const fs::path& source, const AddOptions& options = {}) {
    return add_model(source, folder_ / "models", options);
  }

  Folder folder_;
};

TEST_F(ModelFiles, GoIntoTheFolderOfTheirKind) {
  const fs::path lora = put_lora("style.safetensors");
  const auto added = add(lora);
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_EQ(*added, folder_ / "models/Lora/style.safetensors");
  EXPECT_EQ(*read_file(*added), *read_file(lora));
  EXPECT_EQ(*add(lora, {.name = "mine"}), folder_ / "models/Lora/mine.safetensors");
  EXPECT_EQ(*add(lora, {.kind = ModelKind::kVae}), folder_ / "models/VAE/style.safetensors");
  const auto linked = add(lora, {.name = "linked", .link = true});
  EXPECT_EQ(fs::read_symlink(*linked), lora);
}

TEST_F(ModelFiles, ReplaceNothingUnasked) {
  const fs::path lora = put_lora("style.safetensors");
  ASSERT_TRUE(add(lora));
  put_lora("style.safetensors", 3);
  EXPECT_EQ(add(lora).error().code, ErrorCode::kConflict);
  const auto replaced = add(lora, {.replace = true});
  ASSERT_TRUE(replaced.ok()) << replaced.error().message;
  EXPECT_EQ(*read_file(*replaced), *read_file(lora));
  EXPECT_EQ(add(*replaced, {.replace = true}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(fs::exists(*replaced));
}

TEST_F(ModelFiles, NamesAndKindsAreChecked) {
  const fs::path lora = put_lora("style.safetensors");
  EXPECT_EQ(add(lora, {.name = "../x"}).error().code, ErrorCode::kInvalidArgument);
  weights::TensorIndex::Map tensors;
  tensors.emplace("x", weights::view_of(Tensor({1})));
  ASSERT_TRUE(weights::write_safetensors(folder_ / "any.safetensors", tensors));
  EXPECT_NE(add(folder_ / "any.safetensors").error().message.find("say so with --kind"),
            std::string::npos);
  EXPECT_EQ(add(folder_.put("no.safetensors", "text")).error().code, ErrorCode::kCorruptFile);
  EXPECT_EQ(find_kind("text-encoder"), ModelKind::kTextEncoder);
  EXPECT_EQ(find_kind("picture"), std::nullopt);
}

TEST_F(ModelFiles, LeaveNothingBehindWhenTheWorkEnds) {
  const fs::path lora = put_lora("style.safetensors");
  const auto ended = add(lora, {.progress = [](uint64_t, uint64_t) {
                           return Status(Error{ErrorCode::kCancelled, "enough"});
                         }});
  EXPECT_EQ(ended.error().message, "enough");
  EXPECT_TRUE(fs::is_empty(folder_ / "models/Lora"));
}

TEST_F(ModelFiles, FoldersAreCopiedWhole) {
  put_lora("pipe/unet/diffusion_pytorch_model.safetensors");
  folder_.put("pipe/unet/config.json", "{}");
  folder_.put("pipe/model_index.json", R"({"unet": ["diffusers", "UNet2DConditionModel"]})");
  const auto added = add(folder_ / "pipe/", {.kind = ModelKind::kCheckpoint});
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_EQ(*added, folder_ / "models/Stable-diffusion/pipe");
  EXPECT_TRUE(fs::exists(*added / "unet/config.json"));
  ASSERT_TRUE(remove_model({.name = "pipe", .path = *added}));
  EXPECT_FALSE(fs::exists(*added));
}

TEST_F(ModelFiles, RemovingALinkKeepsWhatItLeadsTo) {
  const fs::path lora = put_lora("style.safetensors");
  const auto linked = add(lora, {.link = true});
  ASSERT_TRUE(remove_model({.name = "style", .path = *linked}));
  EXPECT_FALSE(fs::exists(fs::symlink_status(*linked)));
  EXPECT_TRUE(fs::exists(lora));
}

TEST_F(ModelFiles, VerifyingFindsDamage) {
  const fs::path cache = folder_ / "hashes.json";
  const auto error = [&](const fs::path& path) {
    HashCache hashes(cache);
    const auto verified = verify_model(path, hashes);
    return verified ? "" : verified.error().message;
  };
  const fs::path lora = put_lora("style.safetensors");
  EXPECT_EQ(error(lora), "");
  // Changed, with size and time as they were.
  const auto time = fs::last_write_time(lora);
  std::string bytes = *read_file(lora);
  bytes[bytes.size() - 3] = 1;
  folder_.put("style.safetensors", bytes);
  fs::last_write_time(lora, time);
  EXPECT_NE(error(lora).find("its SHA-256 was"), std::string::npos) << error(lora);
  EXPECT_EQ(error(lora), "");  // Said once; then this is what is remembered.

  EXPECT_NE(error(put_lora("nan.safetensors", NAN)).find("holds NaN or infinite values"),
            std::string::npos);
  EXPECT_NE(error(put_lora("told.safetensors", 1, {{"sshs_model_hash", "00"}}))
                .find("it tells of itself the hash 00"),
            std::string::npos);
  fs::resize_file(lora, fs::file_size(lora) - 1);
  EXPECT_NE(error(lora).find("cut short"), std::string::npos);
}

}  // namespace
}  // namespace safelight::app
