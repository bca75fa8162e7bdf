#include "http/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace safelight::http {
namespace {

/// Upper bounds of the buckets, in seconds.
constexpr std::array kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,   0.25,  0.5,
                                1.0,   2.5,    5.0,   10.0, 30.0,  60.0, 120.0, 300.0, 600.0};

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// `name="value",...` with values escaped as the format asks.
std::string joined(const Metrics::Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text.append(text.empty() ? "" : ",").append(name).append("=\"");
    for (char c : value) {
      if (c == '\n') {
        text += "\\n";
      } else {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
      }
    }
    text += '"';
  }
  return text;
}

void add_line(std::string& text, const std::string& name, const std::string& labels,
              const std::string& value) {
  text += name;
  if (!labels.empty()) text.append("{").append(labels).append("}");
  text.append(" ").append(value).append("\n");
}

std::string with_bound(const std::string& labels, const std::string& bound) {
  return labels + (labels.empty() ? "" : ",") + "le=\"" + bound + "\"";
}

}  // namespace

void Metrics::count(std::string_view name, const Labels& labels, double add) {
  const std::string key = joined(labels);
  const std::lock_guard lock(mutex_);
  counters_[std::string(name)][key] += add;
}

void Metrics::set(std::string_view name, const Labels& labels, double value) {
  const std::string key = joined(labels);
  const std::lock_guard lock(mutex_);
  gauges_[std::string(name)][key] = value;
}

void Metrics::observe(std::string_view name, const Labels& labels, double seconds) {
  const std::string key = joined(labels);
  const auto bucket = static_cast<size_t>(
      std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin());
  const std::lock_guard lock(mutex_);
  Histogram& histogram = histograms_[std::string(name)][key];
  histogram.buckets.resize(kBounds.size() + 1);
  ++histogram.buckets[bucket];
  histogram.sum += seconds;
  ++histogram.count;
}

void Metrics::describe(std::string_view name, std::string_view help) {
  const std::lock_guard lock(mutex_);
  help_[std::string(name)] = help;
}

void Metrics::on_collect(std::function<void(Metrics&)> collector) {
  const std::lock_guard lock(mutex_);
  collectors_.push_back(std::move(collector));
}

void Metrics::add_head(std::string& text, const std::string& name, const char* type) const {
  const auto help = help_.find(name);
  if (help != help_.end()) text += fmt::format("# HELP {} {}\n", name, help->second);
  text += fmt::format("# TYPE {} {}\n", name, type);
}

std::string Metrics::render() {
  std::vector<std::function<void(Metrics&)>> collectors;
  {
    const std::lock_guard lock(mutex_);
    collectors = collectors_;
  }
  for (const auto& collect : collectors) collect(*this);

  const std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [name, values] : counters_) {
    add_head(text, name, "counter");
    for (const auto& [labels, value] : values) add_line(text, name, labels, number(value));
  }
  for (const auto& [name, values] : gauges_) {
    add_head(text, name, "gauge");
    for (const auto& [labels, value] : values) add_line(text, name, labels, number(value));
  }
  for (const auto& [name, histograms] : histograms_) {
    add_head(text, name, "histogram");
    for (const auto& [labels, histogram] : histograms) {
      uint64_t below = 0;
      for (size_t i = 0; i < histogram.buckets.size(); ++i) {
        below += histogram.buckets[i];
        const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
        add_line(text, name + "_bucket", with_bound(labels, bound), fmt::format("{}", below));
      }
      add_line(text, name + "_sum", labels, number(histogram.sum));
      add_line(text, name + "_count", labels, fmt::format("{}", histogram.count));
    }
  }
  return text;
}

}  // namespace safelight::http
