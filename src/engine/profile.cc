#include "engine/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace safelight::engine {

void Profile::add(const std::string& kind, double seconds, double flops) {
  Row& row = rows_[kind];
  ++row.calls;
  row.seconds += seconds;
  row.flops += flops;
}

std::string Profile::to_text() const {
  std::vector<std::pair<std::string, Row>> sorted(rows_.begin(), rows_.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  double total = 0;
  for (const auto& [kind, row] : sorted) total += row.seconds;
  std::string text = fmt::format("{:<22}{:>9}{:>11}{:>8}{:>10}\n", "operator", "calls", "seconds",
                                 "share", "GFLOP/s");
  for (const auto& [kind, row] : sorted) {
    const std::string rate =
        row.flops > 0 ? fmt::format("{:.1f}", row.flops / row.seconds / 1e9) : "-";
    text += fmt::format("{:<22}{:>9}{:>11.4f}{:>7.1f}%{:>10}\n", kind, row.calls, row.seconds,
                        100 * row.seconds / std::max(total, 1e-12), rate);
  }
  return text + fmt::format("{:<22}{:>9}{:>11.4f}\n", "total", "", total);
}

}  // namespace safelight::engine
