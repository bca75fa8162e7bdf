#include "app/prompt_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "text/dynamic_prompt.h"
#include "text/styles.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

using request::Request;
using request::Texts;

Status apply_styles(Request& request, const PromptFiles& files, bool ignores_unknown) {
  if (request.styles.empty()) return {};
  const auto library = text::StyleLibrary::read(files.styles);
  for (const std::string& problem : library.problems()) spdlog::warn("{}", problem);
  std::string unused;
  if (Status done =
          library.apply(request.styles, ignores_unknown, request.prompt, request.negative_prompt);
      !done) {
    return done;
  }
  for (std::string& prompt : request.all_prompts) {
    if (Status done = library.apply(request.styles, ignores_unknown, prompt, unused); !done)
      return done;
    unused.clear();
  }
  for (std::string& negative : request.all_negative_prompts) {
    if (Status done = library.apply(request.styles, ignores_unknown, unused, negative); !done)
      return done;
    unused.clear();
  }
  request.styles.clear();
  return {};
}

bool any_dynamic(const std::string& prompt, const Texts& all) {
  return text::is_dynamic(prompt) || std::any_of(all.begin(), all.end(), &text::is_dynamic);
}

/// Chooses for each picture; `stream` tells the prompt from the negative prompt.
Status expand(const Request& request, std::string& prompt, Texts& all, text::DynamicOptions options,
              text::WildcardFiles& files) {
  if (!any_dynamic(prompt, all)) return {};
  const int64_t pictures = request.batch_size * request.batch_count;
  // A variation walks through subseeds and keeps the seed, and with it the words.
  const int64_t step = request.subseed_strength != 0 ? 0 : 1;
  Texts expanded;
  size_t bytes = 0;
  for (int64_t i = 0; i < pictures; ++i) {
    options.seed = static_cast<uint64_t>(request.seed + i * step);
    auto text =
        text::expand_prompt(all.empty() ? prompt : all[static_cast<size_t>(i)], options, files);
    if (!text) return text.error();
    bytes += text->size();
    if (bytes > request::kMaxListBytes) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("the prompts of {} pictures have more than {} bytes with what "
                               "wildcards chose; ask for fewer pictures at once",
                               pictures, request::kMaxListBytes)};
    }
    expanded.push_back(std::move(*text));
  }
  prompt = expanded.front();
  const bool alike = std::all_of(expanded.begin(), expanded.end(),
                                 [&](const std::string& each) { return each == prompt; });
  all = alike ? Texts() : std::move(expanded);
  return {};
}

}  // namespace

PromptFiles prompt_files_of(const std::vector<fs::path>& model_roots) {
  PromptFiles files;
  for (const fs::path& root : model_roots) {
    files.wildcards.push_back(root / "wildcards");
    files.styles.push_back(root / "styles.csv");
    files.styles.push_back(root / "styles");
    files.styles.push_back(root.parent_path() / "styles.csv");
  }
  return files;
}

void put_first(PromptFiles& files, const std::vector<std::string>& wildcards,
               const std::vector<std::string>& styles) {
  files.wildcards.insert(files.wildcards.begin(), wildcards.begin(), wildcards.end());
  files.styles.insert(files.styles.begin(), styles.begin(), styles.end());
}

Status resolve_prompts(Request& request, const PromptFiles& files, bool ignores_unknown) {
  if (Status good = request::validate(request); !good) return good;
  if (request.seed < 0) request.seed = random_seed();
  if (Status done = apply_styles(request, files, ignores_unknown); !done) return done;
  if (request.wildcards == "on") {
    text::WildcardFiles wildcards(files.wildcards);
    const text::DynamicOptions options{.seed = 0, .stream = 0, .keeps_unknown = ignores_unknown};
    if (Status done = expand(request, request.prompt, request.all_prompts, options, wildcards);
        !done) {
      return done;
    }
    text::DynamicOptions negative = options;
    negative.stream = 1;
    if (Status done = expand(request, request.negative_prompt, request.all_negative_prompts,
                             negative, wildcards);
        !done) {
      return done;
    }
  }
  const bool left = any_dynamic(request.prompt, request.all_prompts) ||
                    any_dynamic(request.negative_prompt, request.all_negative_prompts);
  request.wildcards = left ? "off" : Request{}.wildcards;
  // ComfyUI's weights mean ComfyUI's way to weigh, where no other is asked for.
  if (request.prompt_syntax == "comfyui" && request.emphasis == Request{}.emphasis)
    request.emphasis = "comfyui";
  return {};
}

}  // namespace safelight::app
