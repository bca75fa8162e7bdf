#include "engine/profile.h"

#include <fmt/format.h>

#include <algorithm>

namespace safelight::engine {
namespace {

void sort_by_time(std::vector<Profile::Row>& rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
}

}  // namespace

size_t Profile::row(const std::string& kind, const std::string& layer) {
  const auto [found, added] = numbers_.try_emplace({kind, layer}, rows_.size());
  if (added) rows_.push_back({.kind = kind, .layer = layer});
  return found->second;
}

void Profile::clear() {
  for (Row& row : rows_) row = {.kind = row.kind, .layer = row.layer};
}

std::vector<Profile::Row> Profile::layers() const {
  std::vector<Row> called;
  std::copy_if(rows_.begin(), rows_.end(), std::back_inserter(called),
               [](const Row& row) { return row.calls > 0; });
  sort_by_time(called);
  return called;
}

std::vector<Profile::Row> Profile::kinds() const {
  std::map<std::string, Row> sums;
  for (const Row& row : layers()) {
    Row& sum = sums[row.kind];
    sum.kind = row.kind;
    sum.calls += row.calls;
    sum.seconds += row.seconds;
    sum.flops += row.flops;
  }
  std::vector<Row> rows;
  for (auto& [kind, row] : sums) rows.push_back(std::move(row));
  sort_by_time(rows);
  return rows;
}

std::string Profile::to_text() const {
  const std::vector<Row> rows = kinds();
  double total = 0;
  for (const Row& row : rows) total += row.seconds;
  std::string text = fmt::format("{:<22}{:>9}{:>11}{:>8}{:>10}\n", "operator", "calls", "seconds",
                                 "share", "GFLOP/s");
  for (const Row& row : rows) {
    const std::string rate =
        row.flops > 0 ? fmt::format("{:.1f}", row.flops / row.seconds / 1e9) : "-";
    text += fmt::format("{:<22}{:>9}{:>11.4f}{:>7.1f}%{:>10}\n", row.kind, row.calls, row.seconds,
                        100 * row.seconds / std::max(total, 1e-12), rate);
  }
  return text + fmt::format("{:<22}{:>9}{:>11.4f}\n", "total", "", total);
}

}  // namespace safelight::engine
