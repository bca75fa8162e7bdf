#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace safelight::http {

/// Numbers in Prometheus' text form (version 0.0.4). Any thread.
class Metrics {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  void count(std::string_view name, const Labels& labels, double add = 1);
  void set(std::string_view name, const Labels& labels, double value);
  /// Into a histogram with buckets from 1 ms to 10 min.
  void observe(std::string_view name, const Labels& labels, double seconds);
  /// What a name means; shown as # HELP. One line.
  void describe(std::string_view name, std::string_view help);
  /// Called before each rendering, to set gauges.
  void on_collect(std::function<void(Metrics&)> collector);

  std::string render();

 private:
  struct Histogram {
    std::vector<uint64_t> buckets;
    double sum = 0;
    uint64_t count = 0;
  };
  void add_head(std::string& text, const std::string& name, const char* type) const;

  std::mutex mutex_;
  std::map<std::string, std::string> help_;
  std::map<std::string, std::map<std::string, double>> counters_, gauges_;
  std::map<std::string, std::map<std::string, Histogram>> histograms_;
  std::vector<std::function<void(Metrics&)>> collectors_;
};

}  // namespace safelight::http
