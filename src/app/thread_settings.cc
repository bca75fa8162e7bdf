#include "app/thread_settings.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace safelight::app {

void spin_briefly(char** argv) {
  // About ten microseconds: covers the gap between two operators, and wastes little when other work
  // wants the cores.
  constexpr const char* kSpins = "1000";
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  if (::setenv("GOMP_SPINCOUNT", kSpins, 1) == 0) ::execv("/proc/self/exe", argv);
}

void apply_thread_settings(int argc, char** argv) {
  const std::string_view verb = argc >= 2 ? argv[1] : "";
  if (verb == "generate" || verb == "worker") spin_briefly(argv);
}

}  // namespace safelight::app
