#include <fmt/format.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "app/progress.h"
#include "app/signals.h"
#include "app/verbs/verbs.h"
#include "base/text.h"
#include "weights/open_weights.h"
#include "weights/save_weights.h"

namespace safelight::app {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string from, to, precision;
  bool force = false, quiet = false;
};

struct Precision {
  std::string_view name;
  graph::DType type;
};

constexpr std::array kPrecisions = {
    Precision{"f32", graph::DType::kF32}, Precision{"f16", graph::DType::kF16},
    Precision{"bf16", graph::DType::kBF16}, Precision{"q8_0", graph::DType::kQ8_0}};

Result<weights::FileFormat> format_of(const fs::path& path) {
  const std::string ending = ascii_lower(path.extension().string());
  if (ending == ".safetensors") return weights::FileFormat::kSafetensors;
  if (ending == ".gguf") return weights::FileFormat::kGguf;
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{}: the ending says what to write; .safetensors and .gguf are known. "
                           "Torch's files are only read",
                           path.string())};
}

Result<std::optional<graph::DType>> precision_of(const std::string& name) {
  if (name.empty()) return std::optional<graph::DType>();
  for (const Precision& known : kPrecisions) {
    if (known.name == ascii_lower(name)) return std::optional(known.type);
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("there is no precision '{}'; f32, f16, bf16 and q8_0 are", name)};
}

Status check_target(const Options& options) {
  std::error_code ignored;
  if (fs::equivalent(options.from, options.to, ignored)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: is the file to be read; give another name", options.to)};
  }
  if (fs::exists(options.to, ignored) && !options.force) {
    return Error{ErrorCode::kConflict,
                 fmt::format("{}: is there already; --force replaces it", options.to)};
  }
  return {};
}

Status run(const Options& options) {
  const Result<weights::FileFormat> format = format_of(options.to);
  if (!format) return format.error();
  const auto precision = precision_of(options.precision);
  if (!precision) return precision.error();
  if (Status good = check_target(options); !good) return good;
  const Result<weights::TensorIndex> index = weights::open_weights(options.from);
  if (!index) return index.error();

  end_on_signals();
  const UninterruptedWrite whole_or_nothing;
  Progress progress(stderr, options.quiet ? Progress::Style::kQuiet : style_of(stderr));
  const auto begin = std::chrono::steady_clock::now();
  const auto show = [&](uint64_t done, uint64_t total) -> Status {
    constexpr uint64_t kMebibyte = 1 << 20;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    progress.update({.step = static_cast<int64_t>(done / kMebibyte),
                     .steps = static_cast<int64_t>(total / kMebibyte),
                     .unit = "MiB"},
                    spent.count());
    if (end_is_wanted()) return Error{ErrorCode::kCancelled, "ended by a signal"};
    return {};
  };
  const Status saved = weights::save_weights(
      *index, options.to, {.format = *format, .precision = *precision, .progress = show});
  progress.finish();
  return saved ? print_out(options.to + "\n") : saved;
}

}  // namespace

Verb add_convert(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      root.add_subcommand("convert", "Write a model in another format or precision");
  command
      ->add_option("IN", options->from,
                   "A file of safetensors, GGUF or torch, a .safetensors.index.json or a diffusers "
                   "folder")
      ->required()
      ->type_name("FILE");
  command->add_option("OUT", options->to, "A .safetensors or .gguf file")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--precision", options->precision,
                   "What real numbers become; without it they stay as they are")
      ->type_name("f32|f16|bf16|q8_0");
  command->add_flag("--force", options->force, "Replace OUT when it is there");
  command->add_flag("--quiet", options->quiet, "Show no progress");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
