#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace safelight::bench {

/// The server that is put under load.
struct Target {
  std::string host = "127.0.0.1", port = "7860";
  std::string key;  ///< API key; may be empty
};

/// Times of many operations, in milliseconds.
class Latencies {
 public:
  void add(double ms) { values_.push_back(ms); }
  size_t count() const { return values_.size(); }
  /// {"count", "p50", "p99", "max"}; sorts.
  boost::json::object summary();

 private:
  std::vector<double> values_;
};

/// GETs of `paths` in turn at a constant rate, however slow the answers are; a time runs from when
/// a request was due. {"rate", "errors", "latency_ms"}
boost::json::object poll(const Target& target, const std::vector<std::string>& paths, double rate,
                         int connections, double seconds);

/// `count` jobs, one a request, over some connections. {"errors", "latency_ms", "seconds"}
boost::json::object submit(const Target& target, const std::string& body, int count,
                           int connections);

/// Watches a job, or "*" for all, over many WebSockets for some seconds; a delay is from the
/// event's own time to its arrival. {"sockets", "events", "missing", "delay_ms"}
boost::json::object watch(const Target& target, const std::string& job, int sockets,
                          double seconds);

/// How long the disk under `folder` takes to append 4 KiB and sync: {"count", "p50", ...}.
boost::json::object sync_times(const std::string& folder, int count);

}  // namespace safelight::bench
