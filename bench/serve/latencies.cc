#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "load.h"

namespace safelight::bench {

namespace json = boost::json;

json::object Latencies::summary() {
  std::sort(values_.begin(), values_.end());
  const auto quantile = [&](double q) {
    if (values_.empty()) return 0.0;
    const auto last = static_cast<double>(values_.size() - 1);
    return values_[static_cast<size_t>(std::ceil(q * last))];
  };
  return {{"count", values_.size()},
          {"p50", quantile(0.5)},
          {"p99", quantile(0.99)},
          {"max", quantile(1)}};
}

json::object sync_times(const std::string& folder, int count) {
  const std::string path = folder + "/sync-times";
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return {};
  Latencies latencies;
  const std::string block(4096, 'x');
  for (int i = 0; i < count; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (::write(file, block.data(), block.size()) < 0 || ::fdatasync(file) != 0) break;
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    latencies.add(spent.count());
  }
  ::close(file);
  ::unlink(path.c_str());
  return latencies.summary();
}

}  // namespace safelight::bench
