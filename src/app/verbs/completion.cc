#include "app/completion.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "app/library.h"
#include "app/verbs/verbs.h"
#include "diffusion/sampler.h"

namespace safelight::app {
namespace {

std::vector<Candidate> values_of(std::string_view type) {
  std::vector<Candidate> candidates;
  if (type == "SAMPLER") {
    for (const diffusion::SamplerInfo& sampler : diffusion::samplers())
      candidates.push_back({std::string(sampler.name), ""});
  } else if (type == "SCHEDULE") {
    for (const diffusion::SpacingInfo& spacing : diffusion::spacings())
      candidates.push_back({std::string(spacing.name), std::string(spacing.description)});
  } else if (type == "MODEL") {
    const Result<Library> library = open_library({});
    if (!library) return {};
    for (const ModelEntry& entry : library->catalog.entries()) {
      if (entry.kind == ModelKind::kCheckpoint) candidates.push_back({entry.name, ""});
    }
  }
  return candidates;
}

/// The lines that the scripts read: the kind, then a value, a tab and its help each.
std::string to_lines(const Completion& completion) {
  switch (completion.kind) {
    case Completion::Kind::kFiles:
      return "files\n";
    case Completion::Kind::kFolders:
      return "folders\n";
    case Completion::Kind::kValues:
      break;
  }
  std::string lines = "values\n";
  for (const Candidate& candidate : completion.candidates)
    lines += fmt::format("{}\t{}\n", candidate.value, candidate.help);
  return lines;
}

}  // namespace

Verb add_completion(CLI::App& root) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = root.add_subcommand("completion", "Print the completion script for a shell");
  command->add_option("SHELL", *shell, "The shell")->required()->type_name("bash|zsh|fish");
  return {command, [shell]() -> Status {
            const std::string_view script = completion_script(*shell);
            if (!script.empty()) return print_out(script);
            return Error{ErrorCode::kInvalidArgument,
                         fmt::format("there is no completion for '{}'; bash, zsh and fish have one",
                                     *shell)};
          }};
}

Verb add_complete(CLI::App& root) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command = root.add_subcommand("complete", "What can stand at the cursor");
  command->group("");
  command->add_option("WORDS", *words, "The words up to the cursor");
  return {command,
          [words, &root] { return print_out(to_lines(complete(root, *words, values_of))); }};
}

}  // namespace safelight::app
