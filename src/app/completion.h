#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace safelight::app {

/// Something that can stand at the cursor.
struct Candidate {
  std::string value;
  std::string help;  ///< one line; may be empty
};

/// What can stand at the cursor.
struct Completion {
  enum class Kind { kValues, kFiles, kFolders };
  Kind kind = Kind::kValues;
  std::vector<Candidate> candidates;  ///< only those that begin as the word does; kValues only
};

/// The values of an option by its type name in the tree, such as "SAMPLER"; empty for other names.
using ValueSource = std::function<std::vector<Candidate>(std::string_view type)>;

/// Completes the last of `words`, which follow the program's name, by walking the tree of commands
/// and options. Type names say what an option takes: "FILE" and "DIR" for the shell's own
/// completion, choices as "a|b|c", anything else as `values` knows. Case is ignored.
Completion complete(const CLI::App& root, const std::vector<std::string>& words,
                    const ValueSource& values);

/// The script that teaches a shell to call `safelight complete`, so that it never is behind the
/// program: "bash", "zsh" or "fish"; empty for another.
std::string_view completion_script(std::string_view shell);

}  // namespace safelight::app
