#include "bench/sd/report.h"

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.h>

#include <boost/json/array.hpp>

#include "app/version.h"

namespace safelight::bench {
namespace {

namespace json = boost::json;
using Rows = std::vector<engine::Profile::Row>;

constexpr double kGiga = 1e9;
constexpr double kMiB = 1 << 20;

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

double total_seconds(const Rows& rows) {
  double total = 0;
  for (const auto& row : rows) total += row.seconds;
  return total;
}

/// Rows are sums over the runs of `timing`; the table is of one run.
std::string table(const Timing& timing, const Rows& rows, double peak, size_t count) {
  const auto runs = static_cast<double>(timing.seconds.size());
  const double total = total_seconds(timing.kinds);
  std::string text = fmt::format("{:>9}{:>8}{:>7}{:>10}{:>7}  {}\n", "ms", "share", "calls",
                                 "GFLOP/s", "peak", "operator");
  for (size_t i = 0; i < std::min(count, rows.size()); ++i) {
    const auto& row = rows[i];
    const std::string rate =
        row.flops > 0 ? fmt::format("{:>10.1f}{:>6.0f}%", row.flops / row.seconds / kGiga,
                                    100 * row.flops / row.seconds / peak)
                      : fmt::format("{:>10}{:>7}", "-", "-");
    text += fmt::format("{:>9.2f}{:>7.1f}%{:>7}{}  {}{}{}\n", row.seconds / runs * 1e3,
                        100 * row.seconds / total, static_cast<double>(row.calls) / runs, rate,
                        row.kind, row.layer.empty() ? "" : "  ", row.layer);
  }
  return text;
}

std::string part_text(const char* name, const Timing& timing, double peak, int layers) {
  std::string runs;
  for (const double seconds : timing.seconds) runs += fmt::format(" {:.3f}", seconds);
  std::string text = fmt::format(
      "\n{}: {:.3f} s (median of{}; first {:.3f}), {:.0f} GFLOP, {:.0f} GFLOP/s, {:.0f} % of the "
      "register peak, {:.0f} MiB at most so far\n",
      name, timing.median(), runs, timing.first, timing.flops / kGiga, timing.rate() / kGiga,
      100 * timing.rate() / peak, static_cast<double>(timing.peak_memory) / kMiB);
  text += table(timing, timing.kinds, peak, timing.kinds.size());
  if (layers > 0) text += "\n" + table(timing, timing.layers, peak, static_cast<size_t>(layers));
  return text;
}

std::string onednn_text(const char* name, const Timing& timing, const OnednnTiming& onednn,
                        int layers) {
  std::string text = fmt::format(
      "\noneDNN alone on the products of a {}: {:.3f} s, {:.0f} GFLOP/s. Ours takes {:.3f} times "
      "as "
      "long: {:.1f} % of oneDNN's rate\n",
      name, onednn.seconds, onednn.flops / onednn.seconds / kGiga, timing.median() / onednn.seconds,
      100 * onednn.seconds / timing.median());
  if (layers == 0) return text;
  text += fmt::format("{:>9}{:>7}{:>10}  {}\n", "ms", "times", "GFLOP/s", "product");
  for (const auto& row : onednn.rows) {
    text += fmt::format("{:>9.2f}{:>7}{:>10.1f}  {}  {}\n",
                        row.seconds * static_cast<double>(row.count) * 1e3, row.count,
                        row.flops / row.seconds / kGiga, row.product, row.layout);
  }
  return text;
}

json::object onednn_json(const Timing& timing, const OnednnTiming& onednn) {
  json::array rows;
  for (const auto& row : onednn.rows) {
    rows.push_back({{"product", row.product},
                    {"layout", row.layout},
                    {"count", row.count},
                    {"seconds", row.seconds},
                    {"gflop", row.flops / kGiga}});
  }
  return {{"seconds", onednn.seconds},
          {"gflop_per_s", onednn.flops / onednn.seconds / kGiga},
          {"our_share", onednn.seconds / timing.median()},
          {"products", std::move(rows)}};
}

json::array rows_json(const Timing& timing, const Rows& rows) {
  const auto runs = static_cast<double>(timing.seconds.size());
  json::array array;
  for (const auto& row : rows) {
    json::object entry{{"kind", row.kind}};
    if (!row.layer.empty()) entry["layer"] = row.layer;
    entry["calls"] = static_cast<double>(row.calls) / runs;
    entry["seconds"] = row.seconds / runs;
    entry["gflop"] = row.flops / runs / kGiga;
    array.push_back(std::move(entry));
  }
  return array;
}

json::object part_json(const Timing& timing) {
  return {{"median_s", timing.median()},
          {"seconds", json::array(timing.seconds.begin(), timing.seconds.end())},
          {"first_s", timing.first},
          {"gflop", timing.flops / kGiga},
          {"gflop_per_s", timing.rate() / kGiga},
          {"peak_memory_bytes", timing.peak_memory},
          {"kinds", rows_json(timing, timing.kinds)},
          {"layers", rows_json(timing, timing.layers)}};
}

}  // namespace

std::string to_text(const Report& report, int layers) {
  const engine::DeviceInfo& device = report.device;
  const bool bf16 = device.precision == engine::Precision::kBF16 && report.peaks.bf16 > 0;
  const double peak = bf16 ? report.peaks.bf16 : report.peaks.f32;
  std::string text = fmt::format(
      "safelight {}, oneDNN {}\n{}, {}, {} threads, {}; {} x {} pixels, batch {}, {} guidance\n"
      "register peaks: f32 {:.1f} GFLOP/s",
      app::version(), onednn_version(), device.name, device.features, device.threads,
      engine::precision_name(device.precision), report.workload.width, report.workload.height,
      report.workload.batch, report.workload.guidance ? "with" : "without",
      report.peaks.f32 / kGiga);
  if (report.peaks.bf16 > 0) text += fmt::format(", bf16 {:.1f}", report.peaks.bf16 / kGiga);
  text += "\n";
  if (report.step) text += part_text("step", *report.step, peak, layers);
  if (report.decode) text += part_text("decode", *report.decode, peak, layers);
  if (report.onednn_step) text += onednn_text("step", *report.step, *report.onednn_step, layers);
  if (report.onednn_decode)
    text += onednn_text("decode", *report.decode, *report.onednn_decode, layers);
  if (report.startup) {
    text += fmt::format(
        "\nstart: weights open after {:.2f} s, ready after {:.2f} s, first step done after {:.2f} "
        "s: {:.2f} s more than the median step\n",
        report.startup->opened, report.startup->prepared, report.startup->first,
        report.startup_seconds());
  }
  return text +
         fmt::format("peak memory: {:.0f} MiB\n", static_cast<double>(report.peak_memory) / kMiB);
}

json::object to_json(const Report& report) {
  const engine::DeviceInfo& device = report.device;
  json::object object{{"program", "safelight"},
                      {"version", app::version()},
                      {"onednn", onednn_version()},
                      {"cpu", device.name},
                      {"isa", device.features},
                      {"threads", device.threads},
                      {"precision", engine::precision_name(device.precision)},
                      {"width", report.workload.width},
                      {"height", report.workload.height},
                      {"batch", report.workload.batch},
                      {"guidance", report.workload.guidance},
                      {"peaks",
                       {{"f32_gflop_per_s", report.peaks.f32 / kGiga},
                        {"bf16_gflop_per_s", report.peaks.bf16 / kGiga}}},
                      {"peak_memory_bytes", report.peak_memory}};
  if (report.step) object["step"] = part_json(*report.step);
  if (report.decode) object["decode"] = part_json(*report.decode);
  if (report.onednn_step) {
    object["step"].as_object()["onednn"] = onednn_json(*report.step, *report.onednn_step);
  }
  if (report.onednn_decode) {
    object["decode"].as_object()["onednn"] = onednn_json(*report.decode, *report.onednn_decode);
  }
  if (report.startup) {
    object["startup"] = {{"opened_s", report.startup->opened},
                         {"prepared_s", report.startup->prepared},
                         {"first_step_s", report.startup->first},
                         {"less_median_step_s", report.startup_seconds()}};
  }
  return object;
}

}  // namespace safelight::bench
