#include "app/command_line.h"

#include <gtest/gtest.h>

#include "request/request.h"

namespace safelight::app {
namespace {

/// Exit status and what was written to stderr.
std::pair<int, std::string> run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "safelight");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = run_program(static_cast<int>(arguments.size()), arguments.data());
  testing::internal::GetCapturedStdout();
  return {status, testing::internal::GetCapturedStderr()};
}

TEST(CommandLine, HasAFlagForEveryFieldButThePrompt) {
  const CommandLine line = make_command_line();
  const CLI::App* generate = line.root->get_subcommand("generate");
  for (const request::Field& field : request::fields()) {
    if (field.key == "prompt") continue;
    std::string flag = "--" + std::string(field.key);
    std::replace(flag.begin(), flag.end(), '_', '-');
    EXPECT_NE(generate->get_option_no_throw(flag), nullptr) << flag;
  }
}

TEST(CommandLine, HelpAndVersionSucceed) {
  for (const char* flag : {"--help", "-h", "--version"}) EXPECT_EQ(run({flag}).first, 0) << flag;
  EXPECT_EQ(run({"generate", "--help"}).first, 0);
  EXPECT_EQ(run({}).first, 0);
}

TEST(CommandLine, NamesTheNearest) {
  EXPECT_EQ(run({"inspct"}).second,
            "safelight: 'inspct' is no command of 'safelight'; did you mean 'inspect'?\n");
  EXPECT_EQ(run({"models", "--jsn"}).second,
            "safelight: '--jsn' is no option of 'safelight models'; did you mean '--json'?\n");
  EXPECT_EQ(run({"models", "--jsn=yes"}).second,
            "safelight: '--jsn' is no option of 'safelight models'; did you mean '--json'?\n");
  EXPECT_EQ(run({"devices", "qqqqqqqqq"}).second,
            "safelight: 'qqqqqqqqq' is no argument of 'safelight devices'; see 'safelight devices "
            "--help'\n");
}

TEST(CommandLine, TheExitStatusTellsTheErrorsKind) {
  EXPECT_EQ(run({"inspct"}).first, 2);
  EXPECT_EQ(run({"inspect", "/nowhere.safetensors"}).first, 3);
  EXPECT_EQ(run({"read-info", "/nowhere.png"}).first, 3);
  EXPECT_EQ(run({"generate", "a", "--steps", "0"}).first, 2);
}

}  // namespace
}  // namespace safelight::app
