#include "bench/sd/speed_check.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cmath>

#include "app/version.h"
#include "base/file.h"
#include "base/json.h"
#include "bench/sd/onednn_rate.h"

namespace safelight::bench {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr double kAllowedLoss = 0.15;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string key_of(const engine::DeviceInfo& device) {
  const bool f32 = device.precision == engine::Precision::kF32;
  // Without bf16 there is nothing that the two instruction sets differ in.
  const std::string isa = f32 && device.features == "avx512_bf16" ? "avx512" : device.features;
  return fmt::format("{}/{}", isa, engine::precision_name(device.precision));
}

}  // namespace

std::string describe(const engine::DeviceInfo& device, const SpeedShare& share) {
  return fmt::format(
      "{}, {} threads: a step takes {:.3f} s, oneDNN alone {:.3f} s for its products: {:.1f} % of "
      "oneDNN's rate",
      key_of(device), device.threads, share.step, share.onednn, 100 * share.share);
}

Result<SpeedShare> measure_share(Model& model, const Workload& workload, int rounds) {
  const bool bf16 = model.engine().device().precision != engine::Precision::kF32;
  OnednnRate onednn(products_of(step_graph(workload)), bf16);
  if (Status prepared = model.prepare(workload); !prepared) return prepared.error();
  if (Status warm = model.step(); !warm) return warm.error();
  onednn.run();
  std::vector<double> steps, alone, shares;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = Clock::now();
    if (Status done = model.step(); !done) return done.error();
    steps.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    alone.push_back(onednn.run());
    shares.push_back(alone.back() / steps.back());
  }
  return SpeedShare{.step = median(steps), .onednn = median(alone), .share = median(shares)};
}

Result<SharesOnFile> SharesOnFile::read(const std::filesystem::path& path) {
  SharesOnFile shares;
  shares.path_ = path;
  const Result<std::string> text = read_file(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return shares;
  if (!text) return text.error();
  auto parsed = parse_json(*text);
  if (!parsed) return parsed.error().in(path.string());
  if (!parsed->is_object())
    return Error{ErrorCode::kCorruptFile, path.string() + ": is no JSON object"};
  shares.entries_ = std::move(parsed->get_object());
  return shares;
}

double SharesOnFile::find(const engine::DeviceInfo& device) const {
  const json::value* entry = entries_.if_contains(key_of(device));
  if (!entry || !entry->is_object()) return 0;
  const json::value* share = entry->get_object().if_contains("share_permille");
  return share && share->is_int64() ? static_cast<double>(share->as_int64()) / 1000 : 0;
}

Status SharesOnFile::record(const engine::DeviceInfo& device, const SpeedShare& share) {
  // Whole numbers: boost::json writes 0.825 as 8.25E-1.
  entries_[key_of(device)] = {{"share_permille", std::lround(1000 * share.share)},
                              {"step_ms", std::lround(1000 * share.step)},
                              {"cpu", device.name},
                              {"threads", device.threads},
                              {"version", app::version()}};
  // A line an entry, in order, so that a change of one reads well.
  std::vector<std::string> lines;
  for (const auto& [key, entry] : entries_)
    lines.push_back(fmt::format("  \"{}\": {}", std::string(key), json::serialize(entry)));
  std::sort(lines.begin(), lines.end());
  return write_file_atomically(path_, fmt::format("{{\n{}\n}}\n", fmt::join(lines, ",\n")));
}

Status check_speed(Model& model, const Workload& workload, const SharesOnFile& on_file,
                   int rounds) {
  const engine::DeviceInfo& device = model.engine().device();
  const double expected = on_file.find(device);
  if (expected == 0) {
    return Error{ErrorCode::kNotFound, key_of(device) +
                                           " has no share on file; measure one on a quiet machine "
                                           "with --record"};
  }
  const double least = expected * (1 - kAllowedLoss);
  std::string seen;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto share = measure_share(model, workload, rounds);
    if (!share) return share.error();
    const std::string told = fmt::format("{}; on file {:.1f} %, at least {:.1f} % is needed",
                                         describe(device, *share), 100 * expected, 100 * least);
    fmt::print("{}\n", told);
    if (share->share >= least) return {};
    seen += "\n  " + told;
  }
  return Error{ErrorCode::kInternal,
               "a step has become slower against oneDNN's own rate, measured twice:" + seen +
                   "\nbench_sd --onednn --layers 40 tells which layers"};
}

}  // namespace safelight::bench
