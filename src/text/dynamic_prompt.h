#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/wildcard_files.h"

namespace safelight::text {

struct DynamicOptions {
  uint64_t seed = 0;    ///< of the picture: decides every choice
  uint64_t stream = 0;  ///< another number for another text of the same picture
  /// Leaves wildcards without a file in the text, as SD WebUI's extensions do.
  bool keeps_unknown = false;
};

/// Makes the choices in a prompt: __name__ is a line of the wildcard's file, {a|b} one of the
/// options, {2::a|b} the first twice as often, {2$$a|b|c} two of them joined by ",", {1-2$$ and
/// $$a|b} one or two joined by " and ", {2$$__name__} two lines of a file; all nested in any way. A
/// backslash before a character keeps it from being read so, and stays. Braces that do not match
/// are text. The grammar is that of SD WebUI's extension "Dynamic Prompts". Equal seeds, files and
/// texts give equal prompts, on any machine. Errors: kNotFound for a wildcard without a file,
/// naming the nearest; kInvalidArgument for wildcards that contain themselves, or a prompt that
/// grows too large; kUnsupported for variables
/// ("${a=b}"); those of WildcardFiles.
Result<std::string> expand_prompt(std::string_view prompt, const DynamicOptions& options,
                                  WildcardFiles& files);

/// Whether anything in the text would be read as a choice: expand_prompt() keeps other texts.
bool is_dynamic(std::string_view prompt);

}  // namespace safelight::text
