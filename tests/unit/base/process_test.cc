#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace safelight {
namespace {

ChildProcess shell(const std::string& script, int niceness = 0) {
  auto child = ChildProcess::spawn({.command = {"/bin/sh", "-c", script}, .niceness = niceness});
  EXPECT_TRUE(child.ok()) << child.error().message;
  return std::move(*child);
}

/// All that the child writes into its channel.
std::string said(ChildProcess& child) {
  const Descriptor channel = child.take_channel();
  std::string text;
  char buffer[256];
  for (ssize_t got = 0; (got = ::read(channel.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}

TEST(ChildProcess, TellsHowItEnded) {
  ChildProcess good = shell("exit 3");
  EXPECT_EQ(describe(*good.wait(5000)), "ended with status 3");
  ChildProcess crashed = shell("kill -SEGV $$");
  EXPECT_EQ(describe(*crashed.wait(5000)), "was ended by signal 11 (Segmentation fault)");
  EXPECT_EQ(crashed.wait(0)->signal, SIGSEGV);
  ChildProcess running = shell("exec sleep 60");
  EXPECT_FALSE(running.wait(20));
  running.kill(SIGKILL);
  EXPECT_EQ(running.wait(5000)->signal, SIGKILL);
}

TEST(ChildProcess, TalksOverItsChannelAndHoldsNothingElse) {
  const Descriptor leak(::fcntl(STDERR_FILENO, F_DUPFD, 40));  // not close-on-exec
  ChildProcess child = shell("echo /proc/$$/fd/* >&3; read line; echo got=$line >&3");
  // The shell itself opens the folder that it lists.
  const std::string text = said(child), base = "/proc/" + std::to_string(child.pid()) + "/fd/";
  const std::string open = text.substr(0, text.find('\n'));
  EXPECT_EQ(open, base + "0 " + base + "1 " + base + "2 " + base + "3 " + base + "4");
  EXPECT_NE(text.find("got=\n"), std::string::npos) << "stdin is not empty";
}

TEST(ChildProcess, IsNicerInASessionOfItsOwn) {
  ChildProcess child = shell("cut -d' ' -f6,19 /proc/self/stat >&3", 4);
  // The process that reads is a child of the shell, in its session and as nice.
  EXPECT_EQ(said(child), std::to_string(child.pid()) + " 4\n");
}

TEST(ChildProcess, SignalsAreAsTheyComeByDefault) {
  ::signal(SIGPIPE, SIG_IGN);
  ChildProcess child = shell("kill -PIPE $$; exit 0");
  EXPECT_EQ(child.wait(5000)->signal, SIGPIPE);
  ::signal(SIGPIPE, SIG_DFL);
}

TEST(ChildProcess, SaysWhatCannotBeStarted) {
  const auto child = ChildProcess::spawn({.command = {"/no/such/program"}});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().message, "cannot start '/no/such/program': No such file or directory");
}

TEST(ChildProcess, DiesWithItsOwner) {
  int pid = 0;
  {
    const ChildProcess child = shell("exec sleep 60");
    pid = child.pid();
    EXPECT_GT(resident_bytes(pid), 0U);
  }
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_EQ(resident_bytes(pid), 0U);
  // And with the thread that started it.
  std::optional<ChildProcess> orphan;
  std::thread([&] { orphan.emplace(shell("exec sleep 60")); }).join();
  EXPECT_EQ(orphan->wait(5000)->signal, SIGKILL);
}

}  // namespace
}  // namespace safelight
