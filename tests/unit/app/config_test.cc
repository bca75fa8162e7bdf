#include "app/config.h"

#include <gtest/gtest.h>

#include "unit/app/support.h"

namespace safelight::app {
namespace {

std::string message_of(const std::string& text) {
  const Result<Config> config = parse_config(text, "config.toml");
  if (config) return "no error";
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  return config.error().message;
}

TEST(Config, ReadsEveryKey) {
  const Result<Config> config = parse_config(R"(
    models_dirs = ["~/a", "/b"]
    model = "v1-5"
    output_dir = "out"
    pattern = "[seq]"
    format = "webp"
    precision = "f32"
    threads = 4
    weights_cache = true
    max_memory = "2.5G"
  )",
                                             "config.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->models_dirs, (std::vector<std::string>{"~/a", "/b"}));
  EXPECT_EQ(config->model, "v1-5");
  EXPECT_EQ(config->output_dir, "out");
  EXPECT_EQ(config->pattern, "[seq]");
  EXPECT_EQ(config->format, "webp");
  EXPECT_EQ(config->precision, "f32");
  EXPECT_EQ(config->threads, 4);
  EXPECT_EQ(config->weights_cache, true);
  EXPECT_EQ(config->max_memory, uint64_t{5} << 29);
}

TEST(Config, AnEmptyOneSaysNothing) {
  const Result<Config> config = parse_config("# nothing\n", "config.toml");
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->models_dirs.empty());
  EXPECT_FALSE(config->model);
  EXPECT_FALSE(config->threads);
}

TEST(Config, AnUnknownKeyNamesLineAndNearest) {
  EXPECT_EQ(message_of("\nmodels_dir = ['/a']\n"),
            "config.toml: line 2: there is no key 'models_dir'; did you mean 'models_dirs'?");
  EXPECT_EQ(message_of("x = 1"),
            "config.toml: line 1: there is no key 'x'; the keys are format, max_memory, model, "
            "models_dirs, output_dir, pattern, precision, styles_files, threads, weights_cache, "
            "wildcards_dirs");
}

TEST(Config, AWrongTypeIsNamed) {
  EXPECT_EQ(message_of("model = 3"), "config.toml: line 1: 'model' must be a string");
  EXPECT_EQ(message_of("models_dirs = '/a'"),
            "config.toml: line 1: 'models_dirs' must be a list of strings");
  EXPECT_EQ(message_of("models_dirs = ['/a', 1]"),
            "config.toml: line 1: 'models_dirs' must be a list of strings");
  EXPECT_EQ(message_of("max_memory = 4"),
            "config.toml: line 1: 'max_memory' must be a size such as \"4G\"");
  EXPECT_EQ(message_of("threads = -1"),
            "config.toml: line 1: 'threads' must be an integer from 0 to 1024");
  EXPECT_EQ(message_of("threads = 2.0"),
            "config.toml: line 1: 'threads' must be an integer from 0 to 1024");
}

TEST(Config, BadSyntaxNamesItsLine) {
  EXPECT_TRUE(message_of("model = 'a'\nmodel").starts_with("config.toml: line 2: "));
  EXPECT_TRUE(message_of(std::string(100000, '[')).starts_with("config.toml: line 1: "));
}

TEST(Config, AMissingFileCountsAsEmpty) {
  const Folder folder;
  EXPECT_TRUE(load_config(folder / "config.toml"));
  folder.put("config.toml", "model = 'a'");
  const Result<Config> config = load_config(folder / "config.toml");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->model, "a");
  EXPECT_FALSE(load_config(folder.path()));
}

}  // namespace
}  // namespace safelight::app
