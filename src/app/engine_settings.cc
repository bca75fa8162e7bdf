#include "app/engine_settings.h"

#include <fmt/format.h>

#include "app/paths.h"
#include "base/text.h"

namespace safelight::app {
namespace {

/// Of --max-memory, SAFELIGHT_MAX_MEMORY or the configuration, in this order; 0 for none.
Result<uint64_t> memory_budget(const MachineFlags& flags, const Config& config) {
  std::string name = "--max-memory", text = flags.max_memory;
  if (text.empty()) {
    name = "SAFELIGHT_MAX_MEMORY";
    text = process_environment(name.c_str()).value_or("");
  }
  if (text.empty()) return config.max_memory.value_or(0);
  if (const auto bytes = parse_bytes(text)) return *bytes;
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{} is '{}'; a size such as 4G or 512M is needed", name, text)};
}

}  // namespace

Result<engine::EngineOptions> engine_options(const MachineFlags& flags, const Library& library) {
  const Config& config = library.config;
  const std::string name =
      !flags.precision.empty() ? flags.precision : config.precision.value_or("auto");
  const auto precision = engine::find_precision(name);
  if (!precision) return precision.error();
  const auto max_memory = memory_budget(flags, library.config);
  if (!max_memory) return max_memory.error();
  return engine::EngineOptions{
      .precision = *precision,
      .threads = flags.threads > 0 ? flags.threads : config.threads.value_or(0),
      .max_memory = *max_memory,
      .choices_file = library.paths.cache / "kernels.json",
      .weights_cache = flags.weights_cache || config.weights_cache.value_or(false)
                           ? library.paths.cache / "weights"
                           : std::filesystem::path(),
      .product_methods = {}};
}

void add_machine_flags(CLI::App& command, MachineFlags& flags) {
  command.add_option("--models-dir", flags.models_dirs, "A further folder of models")
      ->type_name("DIR")
      ->allow_extra_args(false)
      ->group("Machine");
  command
      .add_option("--precision", flags.precision,
                  "Arithmetic; auto is bf16 where the processor has it [auto]")
      ->type_name("auto|f32|bf16")
      ->group("Machine");
  command.add_option("--threads", flags.threads, "Threads; 0 for one each processor [0]")
      ->type_name("NUMBER")
      ->check(CLI::Range(0, 1024))
      ->group("Machine");
  command
      .add_flag("--weights-cache", flags.weights_cache,
                "Keep packed weights on disk, as large as the model, for a faster start")
      ->group("Machine");
  command
      .add_option(
          "--max-memory", flags.max_memory,
          "Memory for weights and pictures being drawn, such as 4G; large pictures are then "
          "decoded in bands [all that is free]")
      ->type_name("SIZE")
      ->group("Machine");
}

}  // namespace safelight::app
