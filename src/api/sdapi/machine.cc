#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <thread>

#include "api/sdapi/lists.h"
#include "base/file.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxProcFile = uint64_t{1} << 20;

/// The number behind `key` in a file of /proc, in KiB there; in bytes. 0 where it is not told.
uint64_t proc_bytes(const char* file, std::string_view key) {
  const Result<std::string> text = read_file(file, kMaxProcFile);
  if (!text) return 0;
  const size_t at = text->find(std::string(key) + ":");
  if (at == std::string::npos) return 0;
  const size_t digits = text->find_first_of("0123456789", at);
  uint64_t kib = 0;
  if (digits != std::string::npos) {
    std::from_chars(text->data() + digits, text->data() + text->size(), kib);
  }
  return kib * 1024;
}

}  // namespace

json::object memory(const Workers& workers) {
  uint64_t used = proc_bytes("/proc/self/status", "VmRSS");
  for (const jobs::WorkerStatus& worker : workers.status()) used += worker.resident_bytes;
  const uint64_t total = proc_bytes("/proc/meminfo", "MemTotal");
  return {
      {"ram", json::object{{"free", proc_bytes("/proc/meminfo", "MemAvailable")},
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
