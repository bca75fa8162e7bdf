#include "app/verbs/model_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <optional>

#include "app/library.h"
#include "app/model_files.h"
#include "app/progress.h"
#include "app/signals.h"
#include "base/text.h"
#include "weights/adapter_report.h"
#include "weights/embedding.h"
#include "weights/inspect.h"
#include "weights/open_weights.h"

namespace safelight::app {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using Folders = std::shared_ptr<const std::vector<std::string>>;

constexpr size_t kAutoV2 = 10, kAutoV3 = 12;

struct AddFlags {
  std::string source, kind, name;
  bool link = false, force = false, quiet = false;
};

Status run_add(const AddFlags& flags, const std::vector<std::string>& models_dirs) {
  const Result<Library> library = open_library(models_dirs);
  if (!library) return library.error();
  AddOptions options{.kind = find_kind(flags.kind),
                     .name = flags.name,
                     .link = flags.link,
                     .replace = flags.force,
                     .progress = {}};
  if (!flags.kind.empty() && !options.kind)
    return Error{ErrorCode::kInvalidArgument, fmt::format("there is no kind '{}'", flags.kind)};
  end_on_signals();
  const UninterruptedWrite whole_or_nothing;
  Progress progress(stderr, flags.quiet ? Progress::Style::kQuiet : style_of(stderr));
  const auto begin = std::chrono::steady_clock::now();
  options.progress = [&](uint64_t done, uint64_t total) -> Status {
    constexpr uint64_t kMebibyte = 1 << 20;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    progress.update({.step = static_cast<int64_t>(done / kMebibyte),
                     .steps = static_cast<int64_t>(total / kMebibyte),
                     .unit = "MiB"},
                    spent.count());
    if (end_is_wanted()) return Error{ErrorCode::kCancelled, "ended by a signal"};
    return {};
  };
  const fs::path root = models_dirs.empty() ? library->paths.models : fs::path(models_dirs.front());
  const Result<fs::path> added = add_model(flags.source, root, options);
  progress.finish();
  return added ? print_out(added->string() + "\n") : Status(added.error());
}

/// What an adapter has beyond other files, if this is one.
std::optional<weights::AdapterReport> adapter_in(const weights::FileReport& report,
                                                 const fs::path& path) {
  if (report.kind != weights::FileKind::kLora) return std::nullopt;
  const auto index = weights::open_weights(path);
  return index ? std::optional(weights::report_adapter(*index)) : std::nullopt;
}

/// What a textual inversion is, if this is one.
std::optional<weights::Embedding> embedding_in(const weights::FileReport& report,
                                               const fs::path& path) {
  if (report.kind != weights::FileKind::kEmbedding) return std::nullopt;
  auto embedding = weights::open_embedding(path);
  return embedding ? std::optional(std::move(*embedding)) : std::nullopt;
}

std::string embedding_text(const weights::Embedding& embedding) {
  const auto line = [](std::string_view key, const std::string& value) {
    return value.empty() ? "" : fmt::format("{:<12}{}\n", key, value);
  };
  return line("vectors", fmt::format("{} of {} numbers", embedding.count(), embedding.width())) +
         line("called", embedding.name) +
         line("step", embedding.step ? fmt::format("{}", *embedding.step) : "") +
         line("trained on", embedding.checkpoint);
}

json::object embedding_json(const weights::Embedding& embedding) {
  json::object object{{"vectors", embedding.count()}, {"width", embedding.width()}};
  if (!embedding.name.empty()) object["name"] = embedding.name;
  if (embedding.step) object["step"] = *embedding.step;
  if (!embedding.checkpoint.empty()) object["checkpoint"] = embedding.checkpoint;
  return object;
}

struct InfoFlags {
  std::string name;
  bool json = false;
};

Status run_info(const InfoFlags& flags, const std::vector<std::string>& models_dirs) {
  Result<Library> library = open_library(models_dirs);
  if (!library) return library.error();
  const Result<ModelEntry> entry = library->catalog.find(flags.name);
  if (!entry) return entry.error();
  const Result<weights::FileReport> report = weights::inspect(entry->path);
  if (!report) return report.error();
  const Result<ModelHashes> hashes = library->hashes.all(entry->path);
  if (!hashes) return hashes.error();
  const auto adapter = adapter_in(*report, entry->path);
  const auto embedding = embedding_in(*report, entry->path);
  if (!flags.json) {
    return print_out(fmt::format("{:<12}{}\n", "name", entry->name) + weights::to_text(*report) +
                     (adapter ? weights::to_text(*adapter) : "") +
                     (embedding ? embedding_text(*embedding) : "") + hashes_text(*hashes));
  }
  json::object object = weights::to_json(*report);
  object["name"] = entry->name;
  if (adapter) object["adapter"] = weights::to_json(*adapter);
  if (embedding) object["embedding"] = embedding_json(*embedding);
  object["hashes"] = hashes_json(*hashes);
  return print_out(json::serialize(object) + "\n");
}

struct RemoveFlags {
  std::string name;
  bool yes = false;
};

/// Asks on the terminal. Errors: kInvalidArgument when there is none.
Result<bool> ask(const std::string& question) {
  if (::isatty(STDIN_FILENO) == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "nobody can be asked here; --yes says that it is meant"};
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return ascii_lower(answer) == "y" || ascii_lower(answer) == "yes";
}

Status run_remove(const RemoveFlags& flags, const std::vector<std::string>& models_dirs) {
  const Result<Library> library = open_library(models_dirs);
  if (!library) return library.error();
  const Result<ModelEntry> entry = library->catalog.find(flags.name);
  if (!entry) return entry.error();
  const auto shipped = shipped_models(executable_path());
  if (shipped && entry->path.string().starts_with(shipped->string())) {
    return Error{ErrorCode::kForbidden,
                 fmt::format("'{}' comes with the program and is not removed", entry->name)};
  }
  if (!flags.yes) {
    const Result<bool> meant = ask(fmt::format("Remove {}?", entry->path.string()));
    if (!meant) return meant.error();
    if (!*meant) return Error{ErrorCode::kCancelled, "nothing was removed"};
  }
  return remove_model(*entry);
}

struct VerifyFlags {
  std::vector<std::string> names;
};

/// A line for each model; an error at the end when any is not as it should be.
Status run_verify(const VerifyFlags& flags, const std::vector<std::string>& models_dirs) {
  Result<Library> library = open_library(models_dirs);
  if (!library) return library.error();
  std::vector<ModelEntry> entries;
  if (flags.names.empty()) entries = library->catalog.entries();
  for (const std::string& name : flags.names) {
    const Result<ModelEntry> entry = library->catalog.find(name);
    if (!entry) return entry.error();
    entries.push_back(*entry);
  }
  size_t bad = 0;
  for (const ModelEntry& entry : entries) {
    const Result<ModelHashes> verified = verify_model(entry.path, library->hashes);
    if (!verified) ++bad;
    const std::string line =
        verified ? fmt::format("good  {}  {}\n", entry.name, verified->sha256.substr(0, kAutoV2))
                 : fmt::format("bad   {}  {}\n", entry.name, verified.error().message);
    if (Status put = print_out(line); !put) return put;
  }
  if (bad == 0) return {};
  return Error{ErrorCode::kCorruptFile,
               fmt::format("{} of {} models are not as they should be", bad, entries.size())};
}

/// Adds one command whose flags `options` fills.
template <class Flags, class Fill>
Verb add_command(CLI::App& models, const char* name, const char* help, const Folders& folders,
                 Status (*run)(const Flags&, const std::vector<std::string>&), Fill fill) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = models.add_subcommand(name, help)->fallthrough();
  fill(*command, *flags);
  return {command, [flags, folders, run] { return run(*flags, *folders); }};
}

}  // namespace

std::string hashes_text(const ModelHashes& hashes) {
  if (hashes.sha256.empty()) return "";
  std::string text = fmt::format("hashes\n  SHA-256  {}\n  AutoV2   {}\n", hashes.sha256,
                                 hashes.sha256.substr(0, kAutoV2));
  if (!hashes.autov3.empty())
    text += fmt::format("  AutoV3   {}\n", hashes.autov3.substr(0, kAutoV3));
  return text + fmt::format("  older    {}\n", hashes.older);
}

json::object hashes_json(const ModelHashes& hashes) {
  return {{"sha256", hashes.sha256},
          {"autov2", hashes.sha256.substr(0, kAutoV2)},
          {"autov3", hashes.autov3.substr(0, kAutoV3)},
          {"older", hashes.older}};
}

std::vector<Verb> add_model_files(CLI::App& models, const Folders& models_dirs) {
  std::vector<Verb> verbs;
  verbs.push_back(add_command<AddFlags>(
      models, "add", "Put a model into the folder for its kind", models_dirs, run_add,
      [](CLI::App& command, AddFlags& flags) {
        command.add_option("FILE", flags.source, "A model file or a diffusers folder")
            ->required()
            ->type_name("FILE");
        command.add_flag("--link", flags.link, "Make a link to it instead of a copy");
        command.add_option("--name", flags.name, "Under this name instead of its own")
            ->type_name("NAME");
        command
            .add_option(
                "--kind", flags.kind,
                "What it is for, when its content does not tell: checkpoint, vae, lora, ...")
            ->type_name("checkpoint|vae|lora|embedding|controlnet|upscaler|denoiser|text-encoder");
        command.add_flag("--force", flags.force, "Replace a model of that name");
        command.add_flag("--quiet", flags.quiet, "Show no progress");
      }));
  verbs.push_back(add_command<InfoFlags>(
      models, "info", "Say what a model is, with all its hashes", models_dirs, run_info,
      [](CLI::App& command, InfoFlags& flags) {
        command.add_option("NAME", flags.name, "The model")->required()->type_name("MODEL");
        command.add_flag("--json", flags.json, "Print it as JSON");
      }));
  verbs.push_back(add_command<RemoveFlags>(
      models, "remove", "Remove a model; asks first", models_dirs, run_remove,
      [](CLI::App& command, RemoveFlags& flags) {
        command.add_option("NAME", flags.name, "The model")->required()->type_name("MODEL");
        command.add_flag("--yes", flags.yes, "Do not ask");
      }));
  verbs.push_back(add_command<VerifyFlags>(
      models, "verify", "Read models whole and compare their hashes", models_dirs, run_verify,
      [](CLI::App& command, VerifyFlags& flags) {
        command.add_option("NAME", flags.names, "The models; without any, all")->type_name("MODEL");
      }));
  return verbs;
}

}  // namespace safelight::app
