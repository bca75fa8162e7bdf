#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace safelight::engine {

/// Time and work by operator kind, over any number of runs.
class Profile {
 public:
  struct Row {
    int64_t calls = 0;
    double seconds = 0;
    double flops = 0;
  };

  void add(const std::string& kind, double seconds, double flops);
  bool empty() const { return rows_.empty(); }
  const std::map<std::string, Row>& rows() const { return rows_; }

  /// A table, most time first: kind, calls, seconds, share, GFLOP/s.
  std::string to_text() const;

 private:
  std::map<std::string, Row> rows_;
};

}  // namespace safelight::engine
