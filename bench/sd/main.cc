// Speed of Stable Diffusion 1.5 or SDXL at full size, with random weights: one step of the denoiser
// with guidance, and the decoder. docs/speed.md tells how to measure.
//   ninja -C build/release bench_sd && build/release/bench/bench_sd
// SAFELIGHT_MAX_ISA limits the instruction set.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "app/thread_settings.h"
#include "base/file.h"
#include "base/text.h"
#include "bench/sd/onednn_rate.h"
#include "bench/sd/process.h"
#include "bench/sd/random_weights.h"
#include "bench/sd/report.h"
#include "bench/sd/scaling.h"
#include "bench/sd/speed_check.h"
#include "bench/sd/stopping.h"

namespace safelight::bench {
namespace {

struct Options {
  std::string weights, family = families().front().name;
  bool bf16_file = false;
  std::string precision = "auto";
  int threads = 0;
  std::string size;
  Workload workload;
  std::string only = "all";
  int repeats = 5;
  int layers = 0, stops = 0;
  bool onednn = false, no_guidance = false, scale = false;
  std::string svg;
  std::string check, record;
  std::string json;
  std::string choices = std::filesystem::path(SAFELIGHT_BUILD_DIR) / "bench" / "choices.json";
  std::vector<std::string> methods;
  std::string max_memory;
};

void add_options(CLI::App& app, Options& options) {
  std::vector<std::string> names;
  for (const Family& family : families()) names.push_back(family.name);
  app.add_option("--family", options.family, "sd15 or sdxl")->check(CLI::IsMember(names));
  app.add_option(
      "--weights", options.weights,
      "A checkpoint of the family's sizes; written with random weights where it is missing");
  app.add_flag("--bf16-file", options.bf16_file, "Write random weights in bf16 instead of fp16");
  app.add_option("--precision", options.precision, "auto, f32, bf16");
  app.add_option("--threads", options.threads, "0: one for each processor");
  app.add_option("--size", options.size,
                 "Pixels, WIDTHxHEIGHT; the family's own where none is given");
  app.add_option(
      "--max-memory", options.max_memory,
      "Bytes for packed weights and working memory, as 6G; what is free where none is given");
  app.add_option("--batch", options.workload.batch, "Pictures drawn at once")
      ->check(CLI::Range(1, 64));
  app.add_option("--only", options.only, "step, decode or all")
      ->check(CLI::IsMember({"step", "decode", "all"}));
  app.add_option("--repeats", options.repeats, "Timed runs after the one that warms up")
      ->check(CLI::Range(1, 1000));
  app.add_option("--layers", options.layers, "Show so many of the slowest layers");
  app.add_flag("--onednn", options.onednn,
               "Time oneDNN's primitives alone on the same products, in the same run");
  app.add_flag("--no-guidance", options.no_guidance, "A step sees each picture once, not twice");
  app.add_flag("--scale", options.scale,
               "Time sizes of 256 to 1024, batches of 1 to 4, and one thread instead of all");
  app.add_option("--svg", options.svg, "Draw what --scale finds in this file");
  app.add_option("--stops", options.stops,
                 "Stop so many runs at different moments, and tell how soon they end")
      ->check(CLI::Range(0, 1000));
  app.add_option("--check", options.check,
                 "Fail when a step is 15 % slower, against oneDNN in the same run, than on file");
  app.add_option("--record", options.record, "Set the share that --check compares with");
  app.add_option("--choices", options.choices,
                 "Where the engine keeps the fastest way to compute each layer");
  app.add_option("--methods", options.methods, "Ways to compute products; all where none is given")
      ->delimiter(',');
  app.add_option("--json", options.json, "Write all results to this file");
}

Status read_size(Options& options) {
  char rest = 0;
  Workload& workload = options.workload;
  for (const Family& family : families()) {
    if (family.name == options.family) workload.family = &family;
  }
  workload.width = workload.height = workload.family->config.side;
  if (options.size.empty()) return {};
  if (std::sscanf(options.size.c_str(), "%ldx%ld%c", &workload.width, &workload.height, &rest) !=
          2 ||
      workload.width < 64 || workload.height < 64 || workload.width % 64 != 0 ||
      workload.height % 64 != 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "--size is '" + options.size + "'; two multiples of 64 are needed, as 512x768"};
  }
  return {};
}

std::filesystem::path weights_path(const Options& options) {
  if (!options.weights.empty()) return options.weights;
  return std::filesystem::path(SAFELIGHT_BUILD_DIR) / "bench" /
         fmt::format("{}-random-{}.safetensors", options.family,
                     options.bf16_file ? "bf16" : "fp16");
}

/// Seconds that it took to write the weights, if they were missing.
Result<double> provide_weights(const Options& options) {
  const std::filesystem::path path = weights_path(options);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return 0.0;
  const double begin = seconds_since_start();
  const graph::DType dtype = options.bf16_file ? graph::DType::kBF16 : graph::DType::kF16;
  if (Status written = write_random_weights(path, options.workload.family->config, dtype); !written)
    return written.error();
  const double taken = seconds_since_start() - begin;
  fmt::print("wrote random weights to {} in {:.1f} s\n", path.string(), taken);
  return taken;
}

OnednnTiming time_onednn(const graph::Graph& graph, const Report& report, int repeats) {
  OnednnRate rate(products_of(graph), report.device.precision != engine::Precision::kF32);
  for (int i = 0; i < repeats; ++i) rate.run();
  OnednnTiming timing{.seconds = rate.seconds(), .flops = rate.flops()};
  for (const OnednnRate::Row& row : rate.rows()) {
    timing.rows.push_back({.product = describe(*row.product),
                           .layout = row.layout,
                           .count = row.product->count,
                           .seconds = row.seconds,
                           .flops = row.product->flops});
  }
  return timing;
}

Status measure(const Options& options, double not_counted, Model& model, Report& report) {
  if (options.only != "decode") {
    Startup startup{.opened = seconds_since_start() - not_counted};
    if (Status prepared = model.prepare(options.workload); !prepared) return prepared;
    startup.prepared = seconds_since_start() - not_counted;
    auto step = model.time_step(options.workload, options.repeats);
    if (!step) return step.error();
    startup.first = startup.prepared + step->first;
    report.startup = startup;
    report.step = std::move(*step);
  }
  if (options.only != "step") {
    auto decode = model.time_decode(options.workload, options.repeats);
    if (!decode) return decode.error();
    report.decode = std::move(*decode);
  }
  report.peak_memory = peak_memory();
  report.peaks = measure_peaks(report.device.threads);
  if (options.onednn && report.step)
    report.onednn_step = time_onednn(step_graph(options.workload), report, options.repeats);
  if (options.onednn && report.decode)
    report.onednn_decode = time_onednn(decode_graph(options.workload), report, options.repeats);
  return {};
}

Result<std::unique_ptr<Model>> open_model(const Options& options, int threads) {
  const auto precision = engine::find_precision(options.precision);
  if (!precision) return precision.error();
  const auto max_memory =
      options.max_memory.empty() ? std::optional<uint64_t>(0) : parse_bytes(options.max_memory);
  if (!max_memory) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("--max-memory is '{}'; bytes are needed, as 6G", options.max_memory)};
  }
  return Model::open(weights_path(options), {.precision = *precision,
                                             .threads = threads,
                                             .max_memory = *max_memory,
                                             .profile = true,
                                             .choices_file = options.choices,
                                             .product_methods = options.methods});
}

Status write_json(const Options& options, const boost::json::object& object) {
  if (options.json.empty()) return {};
  return write_file_atomically(options.json, boost::json::serialize(object) + "\n");
}

Status run_scaling(const Options& options, Model& model, Report report) {
  const bool bf16 = report.device.precision != engine::Precision::kF32;
  const auto scaling = measure_scaling(
      model, [&] { return open_model(options, 1); }, options.repeats);
  if (!scaling) return scaling.error();
  report.peaks = scaling->peaks;
  report.peak_memory = peak_memory();
  fmt::print("{}{}", to_text(report, 0), to_text(*scaling, bf16));
  boost::json::object object = to_json(report);
  object["scaling"] = to_json(*scaling, bf16);
  if (Status written = write_json(options, object); !written) return written;
  if (options.svg.empty()) return {};
  const std::string title =
      fmt::format("{}, {}, {} threads, {}, {}", options.workload.family->label, report.device.name,
                  report.device.threads, report.device.features,
                  engine::precision_name(report.device.precision));
  return write_file_atomically(options.svg, to_svg(*scaling, bf16, title));
}

Status run_check(const Options& options, Model& model) {
  const std::string& file = options.check.empty() ? options.record : options.check;
  auto on_file = SharesOnFile::read(file);
  if (!on_file) return on_file.error();
  if (!options.check.empty())
    return check_speed(model, options.workload, *on_file, options.repeats);
  const auto share = measure_share(model, options.workload, options.repeats);
  if (!share) return share.error();
  const engine::DeviceInfo& device = model.engine().device();
  fmt::print("{}; on file before: {:.1f} %\n", describe(device, *share),
             100 * on_file->find(device));
  return on_file->record(device, *share);
}

/// Stops steps and decodes at moments spread over what they usually take.
Status run_stops(const Options& options, Model& model) {
  const auto report = [](const char* what, std::vector<double> waits) {
    std::sort(waits.begin(), waits.end());
    if (waits.empty()) return;
    fmt::print("{}: stopped {} times; it ended after {:.0f} ms (median), {:.0f} ms at the most\n",
               what, waits.size(), 1e3 * waits[waits.size() / 2], 1e3 * waits.back());
  };
  const auto stop_runs = [&](const char* what, auto time, auto run) -> Status {
    const Result<Timing> usual = time(model, options.workload, 1);
    if (!usual) return usual.error();
    auto waits = time_stops(run, usual->median(), options.stops);
    if (!waits) return waits.error();
    report(what, std::move(*waits));
    return {};
  };
  if (options.only != "decode") {
    if (Status done = model.prepare(options.workload); !done) return done;
    const Status done = stop_runs("step", std::mem_fn(&Model::time_step),
                                  [&](const engine::StopFlag* stop) { return model.step(stop); });
    if (!done) return done;
  }
  if (options.only == "step") return {};
  return stop_runs("decode", std::mem_fn(&Model::time_decode), [&](const engine::StopFlag* stop) {
    return model.decode(options.workload, stop);
  });
}

Status run(Options& options) {
  if (Status read = read_size(options); !read) return read;
  options.workload.guidance = !options.no_guidance;
  const auto written = provide_weights(options);
  if (!written) return written.error();
  auto model = open_model(options, options.threads);
  if (!model) return model.error();
  if (!options.check.empty() || !options.record.empty()) return run_check(options, **model);
  if (options.stops > 0) return run_stops(options, **model);
  Report report{.device = (*model)->engine().device(), .workload = options.workload};
  if (options.scale) return run_scaling(options, **model, std::move(report));
  if (Status measured = measure(options, *written, **model, report); !measured) return measured;
  fmt::print("{}", to_text(report, options.layers));
  return write_json(options, to_json(report));
}

}  // namespace
}  // namespace safelight::bench

int main(int argc, char** argv) {
  using namespace safelight;
  app::spin_briefly(argv);
  CLI::App app("Times Stable Diffusion 1.5 or SDXL at full size");
  bench::Options options;
  bench::add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  const Status done = bench::run(options);
  if (!done) fmt::print(stderr, "bench_sd: {}\n", done.error().message);
  return done ? 0 : error_info(done.error().code).exit_status;
}
