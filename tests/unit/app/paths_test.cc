#include "app/paths.h"

#include <gtest/gtest.h>

#include <map>

#include "unit/app/support.h"

namespace safelight::app {
namespace {

namespace fs = std::filesystem;

Environment environment_of(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) return std::nullopt;
    return found->second;
  };
}

TEST(Paths, FollowXdgVariables) {
  const Paths paths = find_paths(environment_of({{"HOME", "/h/jo"},
                                                 {"XDG_CONFIG_HOME", "/c"},
                                                 {"XDG_CACHE_HOME", "/k"},
                                                 {"XDG_DATA_HOME", "/d"}}));
  EXPECT_EQ(paths.config_file, "/c/safelight/config.toml");
  EXPECT_EQ(paths.cache, "/k/safelight");
  EXPECT_EQ(paths.models, "/d/safelight/models");
  EXPECT_EQ(paths.outputs, "/d/safelight/outputs/text");
}

TEST(Paths, DefaultToTheHomeFolderAndIgnoreRelativeValues) {
  const Paths paths = find_paths(environment_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "relative"}}));
  EXPECT_EQ(paths.config_file, "/h/.config/safelight/config.toml");
  EXPECT_EQ(paths.cache, "/h/.cache/safelight");
  EXPECT_EQ(paths.models, "/h/.local/share/safelight/models");
}

TEST(Paths, WithoutAHomeFolderLieBelowTheTemporaryFolder) {
  const Paths paths = find_paths(environment_of({}));
  const fs::path relative = paths.cache.lexically_relative(fs::temp_directory_path());
  EXPECT_EQ(*relative.begin(), "safelight");
}

TEST(Paths, ExpandOnlyOnesOwnHome) {
  const Environment environment = environment_of({{"HOME", "/h"}});
  EXPECT_EQ(expand_home("~", environment), "/h");
  EXPECT_EQ(expand_home("~/models", environment), "/h/models");
  EXPECT_EQ(expand_home("~other/models", environment), "~other/models");
  EXPECT_EQ(expand_home("/a/~", environment), "/a/~");
  EXPECT_EQ(expand_home("~/models", environment_of({})), "~/models");
}

TEST(Paths, SplitListsLikePath) {
  EXPECT_EQ(split_path_list("/a:/b c::/d:"), (std::vector<std::string>{"/a", "/b c", "/d"}));
  EXPECT_TRUE(split_path_list("").empty());
  EXPECT_TRUE(split_path_list("::").empty());
}

TEST(Paths, FindTheShippedModelsInstalledAndBuilt) {
  const Folder folder;
  fs::create_directories(folder / "prefix/share/safelight/models");
  fs::create_directories(folder / "source/models");
  EXPECT_EQ(shipped_models(folder / "prefix/bin/safelight"),
            folder / "prefix/share/safelight/models");
  EXPECT_EQ(shipped_models(folder / "source/build/release/bin/safelight"),
            folder / "source/models");
  EXPECT_EQ(shipped_models(folder / "elsewhere/bin/safelight"), std::nullopt);
}

}  // namespace
}  // namespace safelight::app
