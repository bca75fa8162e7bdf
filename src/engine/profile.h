#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace safelight::engine {

/// Time and work of the steps of an engine's executables, over any number of runs; steps of one
/// kind and layer share a row.
class Profile {
 public:
  struct Row {
    std::string kind;   ///< "conv2d", "linear", ...
    std::string layer;  ///< shapes, and how it is computed: "2x4096x320 -> 2x4096x320"
    int64_t calls = 0;
    double seconds = 0;
    double flops = 0;
  };

  /// The number of the row of that kind and layer, to be asked for once before any run.
  size_t row(const std::string& kind, const std::string& layer);
  void add(size_t row, double seconds, double flops) {
    Row& to = rows_[row];
    ++to.calls;
    to.seconds += seconds;
    to.flops += flops;
  }
  /// Forgets times and work; the rows keep their numbers.
  void clear();

  /// What was called, most time first.
  std::vector<Row> layers() const;
  /// The same summed over layers.
  std::vector<Row> kinds() const;
  /// A table of the kinds: calls, seconds, share, GFLOP/s.
  std::string to_text() const;

 private:
  std::vector<Row> rows_;
  std::map<std::pair<std::string, std::string>, size_t> numbers_;
};

}  // namespace safelight::engine
