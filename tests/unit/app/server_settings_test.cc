#include "app/server_settings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace safelight::app {
namespace {

/// The settings of a command line, a file and an environment.
Result<ServerSettings> read(const std::string& file, const std::map<std::string, std::string>& env,
                            std::vector<std::string> arguments, Texts* notes = nullptr) {
  const auto config = parse_config(file, "config.toml");
  EXPECT_TRUE(config) << config.error().message;
  CLI::App command("serve", "serve");
  GivenSettings given;
  Texts own_notes;
  add_setting_flags(command, given, notes ? *notes : own_notes);
  std::reverse(arguments.begin(), arguments.end());
  command.parse(arguments);
  return read_settings(
      *config,
      [&](const char* name) -> std::optional<std::string> {
        const auto found = env.find(name);
        return found == env.end() ? std::nullopt : std::optional(found->second);
      },
      given);
}

TEST(ServerSettings, FlagsWinOverTheEnvironmentAndThatOverTheFile) {
  const std::string file = "model = \"m\"\n[server]\nport = 1\ngrace = \"2m\"\nmax_queue = 5";
  const auto settings =
      read(file, {{"SAFELIGHT_PORT", "2"}, {"SAFELIGHT_MAX_QUEUE", "6"}}, {"--port", "3"});
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->port, 3);
  EXPECT_EQ(settings->max_queue, 6);
  EXPECT_EQ(settings->grace.ms, 120'000);
  EXPECT_EQ(settings->model, "m");
  EXPECT_EQ(settings->listen, "127.0.0.1");
  EXPECT_FALSE(settings->rate_limit);
}

TEST(ServerSettings, ListsComeFromEveryPlace) {
  const auto settings =
      read("[server]\ncors_origins = [\"https://a\", \"https://b\"]",
           {{"SAFELIGHT_ALLOWED_HOSTS", "x.example,y.example"}},
           {"--auth", "ann:1,bob:2", "--auth", "eve:3", "--models-dir", "/m", "--weights-cache"});
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->cors_origins, (Texts{"https://a", "https://b"}));
  EXPECT_EQ(settings->allowed_hosts, (Texts{"x.example", "y.example"}));
  EXPECT_EQ(settings->auth, (Texts{"ann:1", "bob:2", "eve:3"}));
  EXPECT_EQ(settings->models_dirs, Texts{"/m"});
  EXPECT_TRUE(settings->weights_cache);
}

TEST(ServerSettings, FlagsOfSdWebUi) {
  Texts notes;
  const auto settings = read("", {}, {"--listen", "--medvram", "--api", "--ckpt", "v1-5"}, &notes);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->listen, "0.0.0.0");
  EXPECT_EQ(settings->model, "v1-5");
  std::sort(notes.begin(), notes.end());
  EXPECT_EQ(notes, (Texts{"--api does nothing here: the API is always on",
                          "--medvram does nothing here: --max-memory bounds memory"}));
  EXPECT_EQ(read("", {}, {"--server-name", "::1"})->listen, "::1");
}

TEST(ServerSettings, WrongValuesAreNamedWithTheirPlace) {
  struct Case {
    std::string file;
    std::map<std::string, std::string> env;
    std::vector<std::string> flags;
    std::string message;
  };
  for (const Case& wrong : std::vector<Case>{
           {"[server]\nprot = 1",
            {},
            {},
            "config.toml: line 2: [server] has no key 'prot'; did you mean 'port'?"},
           {"[server]\nport = \"many\"",
            {},
            {},
            "config.toml: line 2: port is 'many'; a whole number from 0 is needed"},
           {"",
            {{"SAFELIGHT_GRACE", "soon"}},
            {},
            "SAFELIGHT_GRACE: grace is 'soon'; a time such as 30s, 15m or 7d is needed"},
           {"",
            {},
            {"--max-memory", "much"},
            "--max-memory: max_memory is 'much'; a size such as 4G or 512M is needed"},
           {"", {}, {"--port", "70000"}, "port is 70000; 0 to 65535 is possible"},
           {"", {}, {"--tls-certfile", "c"}, "tls_certificate and tls_key are given together"},
           {"", {}, {"--front-only"}, "front_only leaves nobody to draw"},
           {"", {}, {"--subpath", "sd"}, "subpath is 'sd'; it begins with '/'"}}) {
    const auto settings = read(wrong.file, wrong.env, wrong.flags);
    ASSERT_FALSE(settings) << wrong.message;
    EXPECT_EQ(settings.error().message.find(wrong.message), 0U) << settings.error().message;
    EXPECT_EQ(settings.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(ServerSettings, SecretsAreShownNowhere) {
  const auto settings =
      read("", {}, {"--auth", "ann:secret", "--broker", "redis://:secret@h", "--port", "1"});
  ASSERT_TRUE(settings);
  const auto shown = shown_settings(*settings);
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown[0], (std::pair<std::string, std::string>("port", "1")));
}

TEST(ServerSettings, EachIsThereOnce) {
  std::set<std::string_view> keys;
  for (const Setting& setting : server_settings()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    EXPECT_FALSE(setting.help.empty()) << setting.key;
  }
}

TEST(ServerSettings, Durations) {
  for (const auto& [text, ms] :
       std::vector<std::pair<std::string, std::optional<int64_t>>>{{"250ms", 250},
                                                                   {"30", 30'000},
                                                                   {"30s", 30'000},
                                                                   {"2m", 120'000},
                                                                   {"1h", 3'600'000},
                                                                   {"7d", 604'800'000},
                                                                   {"0", 0},
                                                                   {"", {}},
                                                                   {"s", {}},
                                                                   {"-1s", {}},
                                                                   {"1.5s", {}},
                                                                   {"3 s", {}},
                                                                   {"99999999999999999999s", {}},
                                                                   {"3w", {}}}) {
    EXPECT_EQ(parse_duration_ms(text), ms) << text;
  }
}

}  // namespace
}  // namespace safelight::app
