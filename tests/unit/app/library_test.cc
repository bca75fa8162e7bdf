#include "app/library.h"

#include <gtest/gtest.h>

#include "unit/app/support.h"

namespace safelight::app {
namespace {

/// A home with folders of models for each way to name one.
class LibraryTest : public testing::Test {
 protected:
  LibraryTest() {
    folder_.put("flag/flag.safetensors", "");
    folder_.put("listed/listed.safetensors", "");
    folder_.put("home/configured/configured.safetensors", "");
    folder_.put("home/.local/share/safelight/models/Stable-diffusion/own.safetensors", "");
    folder_.put("prefix/share/safelight/models/emoji-128/emoji-128.safetensors", "");
  }

  Result<Library> open(const std::vector<std::string>& models_dirs = {}) const {
    return open_library(
        models_dirs,
        [&](const char* name) -> std::optional<std::string> {
          if (std::string_view(name) == "HOME") return (folder_ / "home").string();
          if (std::string_view(name) == "SAFELIGHT_MODELS_DIR")
            return (folder_ / "listed").string() + ":" + (folder_ / "missing").string();
          return std::nullopt;
        },
        folder_ / "prefix/bin/safelight");
  }

  void configure(const std::string& text) const {
    folder_.put("home/.config/safelight/config.toml", text);
  }

  Folder folder_;
};

TEST_F(LibraryTest, LooksEverywhere) {
  configure("models_dirs = ['~/configured']");
  const Result<Library> library = open({(folder_ / "flag").string()});
  ASSERT_TRUE(library) << library.error().message;
  for (const char* name : {"flag", "listed", "configured", "own", "emoji-128"})
    EXPECT_TRUE(library->checkpoint(name)) << name;
}

TEST_F(LibraryTest, TheDefaultIsTheShippedModelUnlessConfigured) {
  EXPECT_EQ(open()->checkpoint("")->name, "emoji-128");
  configure("model = 'own'");
  EXPECT_EQ(open()->checkpoint("")->name, "own");
  configure("model = 'owl'");
  const auto fault = open()->checkpoint("").error();
  EXPECT_EQ(fault.message, (folder_ / "home/.config/safelight/config.toml").string() +
                               ": there is no checkpoint 'owl'; did you mean 'own'?");
}

TEST_F(LibraryTest, SaysSoWhereTheShippedModelIsMissing) {
  std::filesystem::remove_all(folder_ / "prefix");
  const auto fault = open()->checkpoint("").error();
  EXPECT_EQ(fault.code, ErrorCode::kNotFound);
  EXPECT_TRUE(fault.message.starts_with(
      "no model was named, and the one that comes with the program is missing: "))
      << fault.message;
}

TEST_F(LibraryTest, AFolderOfAFlagMustExist) {
  const auto fault = open({"/nowhere"}).error();
  EXPECT_EQ(fault.code, ErrorCode::kNotFound);
  EXPECT_EQ(fault.message, "--models-dir /nowhere: there is no such folder");
}

}  // namespace
}  // namespace safelight::app
