#include "engine/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "base/text.h"
#include "engine/cpu/cpu_engine.h"

namespace safelight::engine {
namespace {

struct EngineEntry {
  std::string_view name;
  Result<std::unique_ptr<Engine>> (*make)(const EngineOptions& options);
};

constexpr std::array kEngines = {EngineEntry{"cpu", &cpu::make_cpu_engine}};

constexpr std::array<std::pair<Precision, std::string_view>, 3> kPrecisions = {
    {{Precision::kAuto, "auto"}, {Precision::kF32, "f32"}, {Precision::kBF16, "bf16"}}};

}  // namespace

std::string_view precision_name(Precision precision) {
  return kPrecisions[static_cast<size_t>(precision)].second;
}

Result<Precision> find_precision(std::string_view name) {
  for (const auto& [precision, known] : kPrecisions) {
    if (known == ascii_lower(name)) return precision;
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("precision '{}' is unknown; use auto, f32 or bf16", name)};
}

std::vector<std::string_view> engine_names() {
  std::vector<std::string_view> names;
  for (const EngineEntry& entry : kEngines) names.push_back(entry.name);
  return names;
}

Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const EngineOptions& options) {
  for (const EngineEntry& entry : kEngines) {
    if (name == "auto" || name == entry.name) return entry.make(options);
  }
  return Error{ErrorCode::kNotFound, fmt::format("engine '{}' is not in this build; it has {}",
                                                 name, fmt::join(engine_names(), ", "))};
}

Result<std::vector<Tensor>> run_once(Executable& executable,
                                     const std::vector<const Tensor*>& inputs, size_t output_count,
                                     const StopFlag* stop) {
  for (size_t i = 0; i < inputs.size(); ++i) executable.set_input(i, *inputs[i]);
  if (Status done = executable.run(stop); !done) return done.error();
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < output_count; ++i) outputs.push_back(executable.output(i));
  return outputs;
}

}  // namespace safelight::engine
