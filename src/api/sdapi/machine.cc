#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <thread>

#include "api/sdapi/lists.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

/// The number behind `key` in a file of /proc, in KiB there; in bytes. 0 where it is not told.
/// Files there have no size before they are read.
uint64_t proc_bytes(const char* file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const size_t digits = std::min(line.find_first_of("0123456789"), line.size());
    uint64_t kib = 0;
    std::from_chars(line.data() + digits, line.data() + line.size(), kib);
    return kib * 1024;
  }
  return 0;
}

}  // namespace

json::object memory(const Workers& workers) {
  uint64_t used = proc_bytes("/proc/self/status", "VmRSS:");
  for (const jobs::WorkerStatus& worker : workers.status()) used += worker.resident_bytes;
  const uint64_t total = proc_bytes("/proc/meminfo", "MemTotal:");
  return {
      {"ram", json::object{{"free", proc_bytes("/proc/meminfo", "MemAvailable:")},
                           {"used", used},
                           {"total", total}}},
      {"cuda", json::object{{"error", "this server draws on the processor"}}},
  };
}

json::object platform(const ServerFacts& facts, const Workers& workers) {
  utsname names{};
  uname(&names);
  std::string devices;
  for (const jobs::WorkerStatus& worker : workers.status()) {
    if (worker.device.empty()) continue;
    devices += (devices.empty() ? "" : ", ") + worker.device;
  }
  return {
      {"app", "Safelight"},
      {"version", facts.version},
      {"system", names.sysname},
      {"release", names.release},
      {"arch", names.machine},
      {"cpus", static_cast<uint64_t>(std::thread::hardware_concurrency())},
      {"device", devices},
  };
}

}  // namespace safelight::api::sdapi
