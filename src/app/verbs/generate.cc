#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/engine_settings.h"
#include "app/library.h"
#include "app/model_parts.h"
#include "app/network_files.h"
#include "app/output.h"
#include "app/paths.h"
#include "app/progress.h"
#include "app/signals.h"
#include "app/verbs/verbs.h"
#include "app/version.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "diffusion/sampler.h"
#include "request/infotext.h"
#include "studio/studio.h"

namespace safelight::app {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMaxRequestBytes = uint64_t{16} << 20;

struct Options {
  std::vector<std::string> prompt;
  std::map<const request::Field*, std::string> fields;  ///< as given; those not given are absent
  std::map<const request::Field*, std::vector<std::string>> lists;
  std::string request_file;
  OutputOptions output;
  std::string file, format;
  bool no_metadata = false;
  MachineFlags machine;
  std::vector<std::string> wildcards_dirs, styles_files;
  bool no_wildcards = false;
  bool profile = false, quiet = false, json = false;
};

Result<std::string> read_request_text(const std::string& file) {
  if (file != "-") return read_file(file, kMaxRequestBytes);
  std::string text(kMaxRequestBytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::cin.gcount()));
  if (text.size() <= kMaxRequestBytes) return text;
  return Error{
      ErrorCode::kInvalidArgument,
      fmt::format("stdin: has more than {} bytes, which no request needs", kMaxRequestBytes)};
}

/// The request of --request, if any, with the flags laid over it.
Result<request::Request> make_request(const Options& options) {
  request::Request request;
  if (!options.request_file.empty()) {
    const Result<std::string> text = read_request_text(options.request_file);
    if (!text) return text.error();
    const Result<json::value> parsed = parse_json(*text);
    if (!parsed) return parsed.error().in(options.request_file);
    Result<request::Request> read = request::from_json(*parsed);
    if (!read) return read.error().in(options.request_file);
    request = std::move(*read);
  }
  for (const auto& [field, text] : options.fields) {
    if (Status set = request::set_text(request, *field, text); !set) return set.error();
  }
  for (const auto& [field, texts] : options.lists) {
    request.*std::get<request::Texts request::Request::*>(field->member) = texts;
  }
  if (options.no_wildcards) request.wildcards = "off";
  for (size_t i = 0; i < options.prompt.size(); ++i) {
    request.prompt = (i == 0 ? "" : request.prompt + " ") + options.prompt[i];
  }
  return request;
}

/// Names of samplers and schedules, and hints where something does nothing or little good.
Status check_sampler(const request::Request& request) {
  const auto sampler = diffusion::find_sampler(request.sampler);
  if (!sampler) return sampler.error();
  const auto spacing = diffusion::find_spacing(request.schedule);
  if (!spacing) return spacing.error();
  for (const std::string& hint :
       diffusion::hints(*sampler->sampler, *spacing, request.steps, request.cfg_scale))
    spdlog::warn("{}", hint);
  return {};
}

OutputOptions output_options(const Options& options, const Library& library) {
  OutputOptions output = options.output;
  if (!options.file.empty()) output.file = options.file;
  if (output.folder.empty()) {
    output.folder = library.config.output_dir
                        ? expand_home(*library.config.output_dir, process_environment)
                        : library.paths.outputs;
  }
  if (output.pattern.empty()) {
    output.pattern = library.config.pattern.value_or(std::string(request::kDefaultFileNamePattern));
  }
  if (!options.format.empty()) {
    output.format = options.format;
  } else if (!output.file) {
    output.format = library.config.format;
  }
  output.metadata = !options.no_metadata;
  return output;
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Writes pictures as they come and tells where they are.
class Results {
 public:
  Results(OutputWriter writer, const Options& options, Progress& progress)
      : writer_(std::move(writer)), options_(options), progress_(progress) {}

  Status deliver(const studio::Picture& picture) {
    const request::FileNameFacts facts{picture.request, picture.model.name, picture.model.hash};
    const Result<std::filesystem::path> path =
        writer_.write({picture.image, facts, picture.infotext});
    if (!path) return path.error();
    progress_.finish();
    pictures_.push_back({{"file", path->string()},
                         {"seed", picture.request.seed},
                         {"parameters", picture.infotext}});
    if (options_.json || options_.quiet) return {};
    return print_out(path->string() + "\n");
  }

  json::array take() { return std::move(pictures_); }

 private:
  OutputWriter writer_;
  const Options& options_;
  Progress& progress_;
  json::array pictures_;
};

/// At least as long as the text of any picture of the request, whose choices are not made yet.
std::string longest_infotext(request::Request request, const ModelEntry& model,
                             const std::string& program) {
  request.seed = request.subseed = request::kMaxSeed;
  request.width = request.height = request::kMaxSide;
  request.model = model.name;
  const auto take_longest = [](std::string& prompt, request::Texts& all) {
    for (const std::string& each : all) {
      if (each.size() > prompt.size()) prompt = each;
    }
    all.clear();
  };
  take_longest(request.prompt, request.all_prompts);
  take_longest(request.negative_prompt, request.all_negative_prompts);
  return request::to_infotext(request, short_hash(std::string(64, '0')), program);
}

Status run(const Options& options) {
  const auto begin = Clock::now();
  Result<request::Request> request = make_request(options);
  if (!request) return request.error();
  if (Status good = request::validate(*request); !good) return good;
  if (Status good = check_sampler(*request); !good) return good;
  Result<Library> library = open_library(options.machine.models_dirs);
  if (!library) return library.error();
  put_first(library->prompt_files, options.wildcards_dirs, options.styles_files);
  if (Status done = resolve_prompts(*request, library->prompt_files, false); !done) return done;
  auto engine = engine_options(options.machine, *library);
  if (!engine) return engine.error();
  engine->profile = options.profile;
  const Result<ModelEntry> entry = library->checkpoint(request->model);
  if (!entry) return entry.error();
  auto writer = OutputWriter::prepare(output_options(options, *library),
                                      request->batch_size * request->batch_count);
  if (!writer) return writer.error();
  const std::string program = "Safelight " + version();
  if (Status good = writer->check_infotext(longest_infotext(*request, *entry, program)); !good) {
    return good;
  }

  end_on_signals();
  const auto find_model = [&](const std::string& name) -> Result<studio::ModelFile> {
    const auto found = name == request->model ? entry : library->checkpoint(name);
    if (!found) return found.error();
    const Result<std::string> hash = library->hashes.sha256(found->path);
    if (!hash) return hash.error();
    return studio::ModelFile{found->path, found->name, short_hash(*hash), *hash};
  };
  const auto find_part_of = [&](pipelines::ModelPart part, const std::string& name,
                                const studio::ModelFile& model) {
    return find_part(*library, part, name, model);
  };
  const auto find_tiny = [&](std::string_view name) { return find_tiny_decoder(*library, name); };
  const auto studio = studio::Studio::make({.engine_options = *engine,
                                            .find_model = find_model,
                                            .find_part = find_part_of,
                                            .find_tiny_decoder = find_tiny,
                                            .find_networks = network_finder(*library),
                                            .version = program});
  if (!studio) return studio.error();
  Progress progress(stderr, options.quiet ? Progress::Style::kQuiet : style_of(stderr));
  Results results(std::move(*writer), options, progress);
  const Status done = (*studio)->run(
      *request,
      {.progress =
           [&](const studio::Progress& p) {
             progress.update({p.batch + 1, p.batches, p.step, p.steps}, seconds_since(begin));
           },
       .note =
           [&](const std::string& text) {
             if (!options.quiet) fmt::print(stderr, "{}\n", text);
           },
       .deliver = [&](const studio::Picture& picture) { return results.deliver(picture); }});
  progress.finish();
  if (!done) return done;
  if (options.profile) fmt::print(stderr, "{}", (*studio)->engine().profile().to_text());
  if (!options.json) return {};
  return print_out(json::serialize(json::object{{"pictures", results.take()},
                                                {"model", entry->name},
                                                {"seconds", seconds_since(begin)}}) +
                   "\n");
}

/// "--cfg-scale,--cfg" for the field cfg_scale.
std::string flag_names(const request::Field& field) {
  std::string name(field.key);
  std::replace(name.begin(), name.end(), '_', '-');
  name = "--" + name;
  if (!field.short_flags.empty()) name += "," + std::string(field.short_flags);
  return name;
}

/// What kind of value a field takes, for help and completion: "cpu|nv" where there are choices.
std::string type_of(const request::Field& field) {
  if (!field.choices.empty()) {
    std::string choices(field.choices);
    std::replace(choices.begin(), choices.end(), ' ', '|');
    return choices;
  }
  for (const std::string_view key : {"sampler", "schedule", "model"}) {
    if (field.key != key) continue;
    std::string name(key);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    return name;
  }
  return std::holds_alternative<std::string request::Request::*>(field.member) ? "TEXT" : "NUMBER";
}

/// A flag for each field of a request but the prompt, which stands alone.
void add_fields(CLI::App& command, const std::shared_ptr<Options>& options) {
  for (const request::Field& field : request::fields()) {
    if (field.key == "prompt") continue;
    const std::string otherwise = request::default_text(field);
    const std::string help =
        std::string(field.help) +
        (otherwise.empty() || otherwise == "inf" ? "" : " [" + otherwise + "]");
    if (std::holds_alternative<request::Texts request::Request::*>(field.member)) {
      command
          .add_option_function<std::vector<std::string>>(
              flag_names(field),
              [options, &field](const std::vector<std::string>& values) {
                options->lists[&field] = values;
              },
              help + "; may be repeated")
          ->type_name("TEXT")
          ->expected(1)
          ->take_all()
          ->group("Picture");
      continue;
    }
    command
        .add_option_function<std::string>(
            flag_names(field),
            [options, &field](const std::string& value) { options->fields[&field] = value; }, help)
        ->type_name(type_of(field))
        ->group("Picture");
  }
}

void add_prompt_files(CLI::App& command, const std::shared_ptr<Options>& options) {
  command.add_flag("--no-wildcards", options->no_wildcards, "The same as --wildcards off")
      ->group("Picture");
  command.add_option("--wildcards-dir", options->wildcards_dirs, "A further folder of wildcards")
      ->type_name("DIR")
      ->expected(1)
      ->take_all()
      ->group("Picture");
  command
      .add_option("--styles-file", options->styles_files,
                  "A further file (styles.csv) or folder of styles")
      ->type_name("FILE")
      ->expected(1)
      ->take_all()
      ->group("Picture");
}

void add_output(CLI::App& command, const std::shared_ptr<Options>& options) {
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    command.add_option(name, value, help)->type_name(type)->group("Output");
  };
  add("-o,--output", options->file,
      "Write to this file; its ending tells the format. Several are numbered", "FILE");
  add("--output-dir", options->output.folder, "Folder for pictures without -o", "DIR");
  options->output.pattern.clear();
  add("--pattern", options->output.pattern,
      "File names without -o, such as [seq]-[date]-[model_name] (the default)", "TEXT");
  add("--format", options->format, "Format of the files [png]", "png|jpeg|webp");
  add("--quality", options->output.quality,
      "Of JPEG and WebP, 1 to 100; WebP at 100 is lossless [90]", "NUMBER");
  command
      .add_flag("--no-metadata", options->no_metadata, "Leave the generation text out of the file")
      ->group("Output");
  command.add_flag("--json", options->json, "Print files, seeds and times as JSON")
      ->group("Output");
  command.add_flag("-q,--quiet", options->quiet, "No progress, no file names")->group("Output");
}

}  // namespace

Verb add_generate(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("generate", "Draw pictures from a prompt");
  command->add_option("PROMPT", options->prompt, "What to draw; several words need no quotes")
      ->type_name("TEXT");
  command
      ->add_option("--request", options->request_file,
                   "Read the request from a JSON file, '-' for stdin; flags given besides win")
      ->type_name("FILE");
  add_fields(*command, options);
  add_prompt_files(*command, options);
  add_output(*command, options);
  add_machine_flags(*command, options->machine);
  command->add_flag("--profile", options->profile, "Print time, GFLOP/s and share of each operator")
      ->group("Machine");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
