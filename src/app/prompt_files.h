#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "request/request.h"

namespace safelight::app {

/// Where wildcards and styles are looked for; what does not exist is skipped, the first that has a
/// name counts.
struct PromptFiles {
  std::vector<std::filesystem::path> wildcards;  ///< folders
  std::vector<std::filesystem::path> styles;     ///< files and folders
};

/// The usual places for some folders of models: wildcards/, styles/ and styles.csv in each, and
/// styles.csv beside it, where SD WebUI has it.
PromptFiles prompt_files_of(const std::vector<std::filesystem::path>& model_roots);

/// Folders and files that go before those of `files`.
void put_first(PromptFiles& files, const std::vector<std::string>& wildcards,
               const std::vector<std::string>& styles);

/// Makes every choice in a request's prompts, so that nothing of it depends on files any more:
/// draws the seed, puts the styles in, and chooses from options and wildcards by the seed of each
/// picture (Request::all_prompts, where pictures differ). A text in which something still looks
/// like a choice turns wildcards off, so that it draws the same once more. `ignores_unknown` leaves
/// unknown styles out and unknown wildcards in the text, as SD WebUI does. Errors: kNotFound naming
/// the nearest style or wildcard; kInvalidArgument for prompts that grow too large, and circles;
/// kIo.
Status resolve_prompts(request::Request& request, const PromptFiles& files, bool ignores_unknown);

}  // namespace safelight::app
