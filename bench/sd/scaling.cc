#include "bench/sd/scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

namespace safelight::bench {
namespace {

namespace json = boost::json;

constexpr std::array<int64_t, 5> kSizes{256, 384, 512, 768, 1024};
constexpr std::array<int64_t, 3> kBatches{1, 2, 4};
constexpr double kGiga = 1e9;

Result<ScalingPoint> measure_point(Model& model, const Workload& workload, int repeats,
                                   bool decodes) {
  ScalingPoint point{.workload = workload};
  if (Status prepared = model.prepare(workload); !prepared) return prepared.error();
  auto step = model.time_step(workload, repeats);
  if (!step) return step.error();
  point.step = std::move(*step);
  if (!decodes) return point;
  auto decode = model.time_decode(workload, repeats);
  if (!decode) return decode.error();
  point.decode = std::move(*decode);
  return point;
}

std::string size_name(const Workload& workload) {
  return fmt::format("{} x {}", workload.width, workload.height);
}

json::object point_json(const ScalingPoint& point, int threads) {
  json::object object{{"width", point.workload.width}, {"height", point.workload.height},
                      {"batch", point.workload.batch}, {"threads", threads},
                      {"step_s", point.step.median()}, {"step_gflop", point.step.flops / kGiga}};
  if (point.decode.flops > 0) {
    object["decode_s"] = point.decode.median();
    object["decode_gflop"] = point.decode.flops / kGiga;
  }
  return object;
}

}  // namespace

const ScalingPoint& Scaling::usual() const {
  return *std::find_if(sizes.begin(), sizes.end(),
                       [](const ScalingPoint& p) { return p.workload.width == 512; });
}

double Scaling::step_speedup() const { return one_thread.step.median() / usual().step.median(); }

double Scaling::decode_speedup() const {
  return one_thread.decode.median() / usual().decode.median();
}

double Scaling::peak_speedup(bool bf16) const {
  return bf16 && peaks.bf16 > 0 ? peaks.bf16 / one_thread_peaks.bf16
                                : peaks.f32 / one_thread_peaks.f32;
}

Result<Scaling> measure_scaling(Model& model, const OpenModel& open_for_one_thread, int repeats) {
  Scaling scaling{.threads = model.engine().device().threads};
  for (const int64_t batch : kBatches) {
    auto point = measure_point(model, {.batch = batch}, repeats, false);
    if (!point) return point.error();
    scaling.batches.push_back(std::move(*point));
  }
  for (const int64_t size : kSizes) {
    auto point = measure_point(model, {.width = size, .height = size}, repeats, true);
    if (!point) return point.error();
    scaling.sizes.push_back(std::move(*point));
  }
  scaling.peaks = measure_peaks(scaling.threads);
  scaling.one_thread_peaks = measure_peaks(1);
  // Making it sets the size of the one team of threads, so it comes last.
  auto one = open_for_one_thread();
  if (!one) return one.error();
  auto point = measure_point(**one, {}, repeats, true);
  if (!point) return point.error();
  scaling.one_thread = std::move(*point);
  return scaling;
}

std::string to_text(const Scaling& scaling, bool bf16) {
  std::string text = fmt::format("\n{:<14}{:>9}{:>10}{:>10}{:>10}\n", "size", "step s", "GFLOP/s",
                                 "decode s", "GFLOP/s");
  for (const ScalingPoint& p : scaling.sizes) {
    text += fmt::format("{:<14}{:>9.3f}{:>10.0f}{:>10.3f}{:>10.0f}\n", size_name(p.workload),
                        p.step.median(), p.step.rate() / kGiga, p.decode.median(),
                        p.decode.rate() / kGiga);
  }
  text += fmt::format("\n{:<14}{:>9}{:>12}\n", "batch", "step s", "s a picture");
  for (const ScalingPoint& p : scaling.batches) {
    text += fmt::format("{:<14}{:>9.3f}{:>12.3f}\n", p.workload.batch, p.step.median(),
                        p.step.median() / static_cast<double>(p.workload.batch));
  }
  const double peak = scaling.peak_speedup(bf16);
  return text + fmt::format(
                    "\n{} threads against one: register peak {:.3f}; step {:.3f}, {:.3f} of it; "
                    "decode {:.3f}, {:.3f} of it\n",
                    scaling.threads, peak, scaling.step_speedup(), scaling.step_speedup() / peak,
                    scaling.decode_speedup(), scaling.decode_speedup() / peak);
}

json::object to_json(const Scaling& scaling, bool bf16) {
  json::array points{point_json(scaling.one_thread, 1)};
  for (const auto* list : {&scaling.batches, &scaling.sizes}) {
    for (const ScalingPoint& p : *list) points.push_back(point_json(p, scaling.threads));
  }
  return {{"points", std::move(points)},
          {"peak_speedup", scaling.peak_speedup(bf16)},
          {"step_speedup", scaling.step_speedup()},
          {"decode_speedup", scaling.decode_speedup()}};
}

}  // namespace safelight::bench
