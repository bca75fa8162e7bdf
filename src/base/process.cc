#include "base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

namespace safelight {
namespace {

/// Above the descriptors that a child gets, so that moving them there overwrites nothing.
constexpr int kFirstFree = 10;

/// What the child needs between fork and exec, where it may allocate nothing.
struct Launch {
  char* const* arguments;
  int channel, null, fault;
  int niceness;
  pid_t parent;
};

/// Runs in the child. Writes errno to `fault` when the program cannot be started.
[[noreturn]] void start_program(const Launch& launch) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launch.parent) ::_exit(1);  // it died before we asked
  ::setsid();
  if (launch.niceness != 0) {
    ::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + launch.niceness);
  }
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &plain, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const bool moved = ::dup2(launch.null, STDIN_FILENO) >= 0 &&
                     ::dup2(launch.channel, kChannelFd) >= 0 &&
                     ::dup3(launch.fault, kChannelFd + 1, O_CLOEXEC) >= 0;
  if (moved) {
    // Kernels before 5.9 lack it; what is not close-on-exec then stays open in the child.
    ::close_range(kChannelFd + 2, ~0U, 0);
    ::execv(launch.arguments[0], launch.arguments);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t told =
      ::write(moved ? kChannelFd + 1 : launch.fault, &error, sizeof error);
  ::_exit(1);
}

/// The error that the child reports before exec; 0 when exec closed the pipe.
int read_fault(int fd) {
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

Error spawn_error(const std::string& program, int error) {
  return {ErrorCode::kIo, fmt::format("cannot start '{}': {}", program, std::strerror(error))};
}

}  // namespace

std::string describe(const ExitStatus& exit) {
  if (exit.signal == 0) return fmt::format("ended with status {}", exit.status);
  return fmt::format("was ended by signal {} ({})", exit.signal, ::strsignal(exit.signal));
}

Result<ChildProcess> ChildProcess::spawn(const SpawnOptions& options) {
  if (options.command.empty()) return spawn_error("", EINVAL);
  const std::string& program = options.command[0];
  std::vector<char*> arguments;
  for (const std::string& argument : options.command)
    arguments.push_back(const_cast<char*>(argument.c_str()));  // exec's type; it changes nothing
  arguments.push_back(nullptr);

  int pair[2], pipe[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return spawn_error(program, errno);
  Descriptor ours(pair[0]);
  const Descriptor theirs(pair[1]);
  if (::pipe2(pipe, O_CLOEXEC) != 0) return spawn_error(program, errno);
  const Descriptor fault_read(pipe[0]);
  Descriptor fault_write(pipe[1]);
  const Descriptor channel(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, kFirstFree));
  Descriptor fault(::fcntl(fault_write.get(), F_DUPFD_CLOEXEC, kFirstFree));
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (channel.get() < 0 || fault.get() < 0 || null.get() < 0) return spawn_error(program, errno);
  const Launch launch{arguments.data(), channel.get(),    null.get(),
                      fault.get(),      options.niceness, ::getpid()};
  const pid_t pid = ::fork();
  if (pid < 0) return spawn_error(program, errno);
  if (pid == 0) start_program(launch);

  // Else we would wait for ourselves.
  fault.close();
  fault_write.close();
  ChildProcess child(pid, std::move(ours));
  if (const int error = read_fault(fault_read.get())) return spawn_error(program, error);
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      channel_(std::move(other.channel_)),
      ended_(other.ended_) {}

ChildProcess::~ChildProcess() {
  if (pid_ == 0 || ended_) return;
  kill(SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

void ChildProcess::kill(int signal) { ::kill(pid_, signal); }

std::optional<ExitStatus> ChildProcess::wait(int64_t timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!ended_) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got == pid_) {
      ended_ = WIFSIGNALED(status) ? ExitStatus{.signal = WTERMSIG(status)}
                                   : ExitStatus{.status = WEXITSTATUS(status)};
    } else if (got < 0 && errno != EINTR) {
      ended_ = ExitStatus{};  // somebody else has waited for it
    } else if (Clock::now() >= end) {
      break;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return ended_;
}

uint64_t resident_bytes(int pid) {
  std::ifstream statm(fmt::format("/proc/{}/statm", pid));
  uint64_t total = 0, resident = 0;
  if (!(statm >> total >> resident)) return 0;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace safelight
