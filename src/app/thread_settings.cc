#include "app/thread_settings.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace safelight::app {

void apply_thread_settings(int argc, char** argv) {
  // About a tenth of a millisecond: longer than a gap between two operators, shorter than a time
  // slice.
  constexpr const char* kSpins = "10000";
  if (argc < 2 || std::string_view(argv[1]) != "generate") return;
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  if (::setenv("GOMP_SPINCOUNT", kSpins, 1) == 0) ::execv("/proc/self/exe", argv);
}

}  // namespace safelight::app
