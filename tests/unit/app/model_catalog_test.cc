#include "app/model_catalog.h"

#include <gtest/gtest.h>

#include "unit/app/support.h"

namespace safelight::app {
namespace {

/// "kind:name" of every entry, in order.
std::vector<std::string> listed(const ModelCatalog& catalog) {
  std::vector<std::string> names;
  for (const ModelEntry& entry : catalog.entries())
    names.push_back(std::string(name_of(entry.kind)) + ":" + entry.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(ModelCatalog, ReadsSdNextsLayout) {
  const Folder root;
  root.put("Stable-diffusion/sub/deep/one.safetensors", "");
  root.put("Diffusers/pipeline/model_index.json", "{}");
  root.put("Diffusers/pipeline/unet/weights.safetensors", "1234");
  root.put("VAE/small.safetensors", "");
  root.put("Lora/style.safetensors", "");
  root.put("embeddings/bad.safetensors", "");
  root.put("ControlNet/canny.safetensors", "");
  root.put("ESRGAN/x4.safetensors", "");
  root.put("UNET/part.safetensors", "");
  root.put("Text-encoder/t5.safetensors", "");
  const ModelCatalog catalog = ModelCatalog::scan({root.path()});
  EXPECT_EQ(listed(catalog), (Names{"checkpoint:one", "checkpoint:pipeline", "vae:small",
                                    "lora:style", "embedding:bad", "controlnet:canny",
                                    "upscaler:x4", "denoiser:part", "text encoder:t5"}));
  EXPECT_EQ(catalog.entries()[1].size, 6U);  // "{}" and the four bytes of weights
}

TEST(ModelCatalog, TakesOtherFormatsWhereTheFolderSaysWhatTheyAre) {
  const Folder root;
  root.put("top.gguf", "");
  root.put("top.ckpt", "");
  root.put("own/inside.pt", "");
  root.put("Stable-diffusion/old.ckpt", "");
  root.put("Stable-diffusion/notes.txt", "");
  root.put("embeddings/word.pt", "");
  root.put("embeddings/other.bin", "");
  root.put("ESRGAN/x4.pth", "");
  root.put("UNET/flux.gguf", "");
  EXPECT_EQ(listed(ModelCatalog::scan({root.path()})),
            (Names{"checkpoint:old", "checkpoint:top", "embedding:other", "embedding:word",
                   "upscaler:x4", "denoiser:flux"}));
}

TEST(ModelCatalog, LeavesTheGuardsClassifierOut) {
  const Folder root;
  root.put("emoji-128/emoji-128.safetensors", "");
  root.put("guard-text/guard-text.safetensors", "");
  EXPECT_EQ(listed(ModelCatalog::scan({root.path()})), Names{"checkpoint:emoji-128"});
}

TEST(ModelCatalog, OfSeveralFormatsTheSaferOneUnlessTheEndingIsNamed) {
  const Folder root;
  root.put("Stable-diffusion/a.ckpt", "");
  root.put("Stable-diffusion/a.gguf", "");
  root.put("Stable-diffusion/a.safetensors", "");
  const ModelCatalog catalog = ModelCatalog::scan({root.path()});
  const HashCache hashes(root / "hashes.json");
  const auto found = [&](const char* name) {
    return catalog.find(name, ModelKind::kCheckpoint, hashes)->path.filename().string();
  };
  EXPECT_EQ(found("a"), "a.safetensors");
  EXPECT_EQ(found("a.ckpt"), "a.ckpt");
  EXPECT_EQ(found("a.gguf"), "a.gguf");
  EXPECT_EQ(found("A.pt"), "a.safetensors");
}

TEST(ModelCatalog, FindsModelsOfAnyKindThatOneNameMeans) {
  const Folder root;
  const auto lora = root.put("Lora/style.safetensors", "");
  root.put("Lora/both.safetensors", "");
  root.put("VAE/both.safetensors", "");
  const ModelCatalog catalog = ModelCatalog::scan({root.path()});
  EXPECT_EQ(catalog.find("style")->kind, ModelKind::kLora);
  EXPECT_EQ(catalog.find(lora.string())->kind, ModelKind::kLora);
  EXPECT_EQ(catalog.find("both").error().message,
            "'both' is a vae and a lora; say which by its path");
  EXPECT_EQ(catalog.find((root / "VAE/both.safetensors").string())->kind, ModelKind::kVae);
  EXPECT_EQ(catalog.find("stile").error().code, ErrorCode::kNotFound);
}

TEST(ModelCatalog, ReadsAnInstallationOfSdWebUi) {
  const Folder root;
  root.put("models/Stable-diffusion/one.safetensors", "");
  root.put("embeddings/bad.safetensors", "");
  root.put("extensions/thing.safetensors", "");
  EXPECT_EQ(listed(ModelCatalog::scan({root.path()})), (Names{"checkpoint:one", "embedding:bad"}));
}

TEST(ModelCatalog, ReadsComfyUisLayout) {
  const Folder root;
  root.put("checkpoints/one.safetensors", "");
  root.put("loras/style.safetensors", "");
  root.put("diffusion_models/flux.safetensors", "");
  root.put("upscale_models/x4.safetensors", "");
  EXPECT_EQ(listed(ModelCatalog::scan({root.path()})),
            (Names{"checkpoint:one", "lora:style", "upscaler:x4", "denoiser:flux"}));
}

TEST(ModelCatalog, TakesCheckpointsFromTheTopAndOneFolderDeep) {
  const Folder root;
  root.put("top.safetensors", "");
  root.put("own/inside.safetensors", "");
  root.put("own/deeper/not-found.safetensors", "");
  root.put(".hidden.safetensors", "");
  root.put("notes.txt", "");
  EXPECT_EQ(listed(ModelCatalog::scan({root.path()})),
            (Names{"checkpoint:inside", "checkpoint:top"}));
}

TEST(ModelCatalog, SkipsWhatIsNotThereAndEndsInLoops) {
  const Folder root;
  root.put("Lora/style.safetensors", "");
  std::filesystem::create_directory_symlink(root.path() / "Lora", root.path() / "Lora/again");
  const ModelCatalog catalog = ModelCatalog::scan({root / "missing", root.path()});
  ASSERT_FALSE(catalog.entries().empty());
  EXPECT_LT(catalog.entries().size(), 10U);
}

TEST(ModelCatalog, FindsByNameEndingCaseAndPath) {
  const Folder root;
  const HashCache hashes(root / "hashes.json");
  root.put("models/Model.safetensors", "");
  root.put("models/model.safetensors", "");
  root.put("models/Other.safetensors", "");
  const auto elsewhere = root.put("elsewhere/free.safetensors", "");
  const ModelCatalog catalog = ModelCatalog::scan({root / "models"});
  const auto name = [&](const std::string& text) {
    const auto found = catalog.find(text, ModelKind::kCheckpoint, hashes);
    return found ? found->path.filename().string() : found.error().message;
  };
  EXPECT_EQ(name("Model"), "Model.safetensors");
  EXPECT_EQ(name("model"), "model.safetensors");
  EXPECT_EQ(name("OTHER"), "Other.safetensors");
  EXPECT_EQ(name("Other.safetensors"), "Other.safetensors");
  EXPECT_EQ(name("Other [0123abcdef]"), "Other.safetensors");
  EXPECT_EQ(name(elsewhere.string()), "free.safetensors");
}

TEST(ModelCatalog, TheFirstRootWins) {
  const Folder first, second;
  const HashCache hashes(first / "hashes.json");
  first.put("same.safetensors", "1");
  second.put("same.safetensors", "22");
  const ModelCatalog catalog = ModelCatalog::scan({first.path(), second.path()});
  EXPECT_EQ(catalog.find("same", ModelKind::kCheckpoint, hashes)->size, 1U);
}

TEST(ModelCatalog, WhatIsNotThereNamesTheNearestOrWhereItLooked) {
  const Folder root;
  const HashCache hashes(root / "hashes.json");
  root.put("models/emoji-128.safetensors", "");
  const ModelCatalog catalog = ModelCatalog::scan({root / "models"});
  EXPECT_EQ(catalog.find("emojy-128", ModelKind::kCheckpoint, hashes).error().message,
            "there is no checkpoint 'emojy-128'; did you mean 'emoji-128'?");
  EXPECT_EQ(catalog.find("quite another", ModelKind::kCheckpoint, hashes).error().message,
            "there is no checkpoint 'quite another'; 'safelight models' lists the 1 there are");
  const Error error = catalog.find("emoji-128", ModelKind::kVae, hashes).error();
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_EQ(error.message,
            "there is no vae 'emoji-128'; there is none in " + (root / "models").string());
}

TEST(ModelCatalog, ATitleOfAnotherFileOfThatNameIsRefused) {
  const Folder root;
  HashCache hashes(root / "hashes.json");
  const auto path = root.put("models/m.safetensors", "abc");
  // FIPS 180-2, B.1: SHA-256 of "abc".
  ASSERT_EQ(hashes.sha256(path).value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const ModelCatalog catalog = ModelCatalog::scan({root / "models"});
  EXPECT_TRUE(catalog.find("m [ba7816bf8f]", ModelKind::kCheckpoint, hashes));
  const auto other = catalog.find("m [0000000000]", ModelKind::kCheckpoint, hashes);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message,
            "checkpoint 'm' has the hash ba7816bf8f, not 0000000000: it is another model of that "
            "name");
}

}  // namespace
}  // namespace safelight::app
