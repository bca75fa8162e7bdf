#include "app/completion.h"

#include "base/text.h"

namespace safelight::app {
namespace {

constexpr std::string_view kBash =
    R"(# Completion of safelight for bash; written by: safelight completion bash
_safelight() {
  local kind value help word words=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    word=${word//\\/}
    words+=("${word#[\"\']}")
  done
  COMPREPLY=()
  {
    read -r kind
    while IFS=$'\t' read -r value help; do COMPREPLY+=("$value"); done
  } < <("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
  case $kind in
    files) compopt -o default ;;
    folders) compopt -o dirnames ;;
    *) compopt -o filenames ;; # readline quotes the spaces in a value
  esac
}
complete -F _safelight safelight
)";

constexpr std::string_view kZsh = R"(#compdef safelight
# Completion of safelight for zsh; written by: safelight completion zsh
_safelight() {
  local line
  local -a lines values
  lines=("${(@f)$("${words[1]}" complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  case ${lines[1]} in
    files) _files ;;
    folders) _files -/ ;;
    *)
      for line in "${(@)lines[2,-1]}"; do
        values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
      done
      _describe -V safelight values
      ;;
  esac
}
if [ "${funcstack[1]}" = _safelight ]; then _safelight; else compdef _safelight safelight; fi
)";

constexpr std::string_view kFish =
    R"(# Completion of safelight for fish; written by: safelight completion fish
function __safelight_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($before[1] complete -- $before[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current"
        case '*'
            string join \n -- $lines[2..-1]
    end
end
complete -c safelight -f -a '(__safelight_complete)'
)";

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

/// An option by how it was written, "--name" or "-n", in the command or those above it; null if
/// there is none.
const CLI::Option* find_option(const CLI::App* command, const std::string& name) {
  for (; command != nullptr; command = command->get_parent()) {
    if (const CLI::Option* option = command->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

const CLI::App* find_command(const CLI::App& command, const std::string& name) {
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

/// Where the cursor stands.
struct Position {
  const CLI::App* command;
  const CLI::Option* option = nullptr;  ///< the option whose value is being typed
  bool only_positionals = false;        ///< behind "--"
};

void advance(Position& at, const std::string& word) {
  if (at.option != nullptr) {
    // bash splits "--name=value" into three words.
    if (word != "=") at.option = nullptr;
  } else if (at.only_positionals) {
    return;
  } else if (word == "--") {
    at.only_positionals = true;
  } else if (word.starts_with('-')) {
    const CLI::Option* option =
        word.find('=') == std::string::npos ? find_option(at.command, word) : nullptr;
    if (option != nullptr && takes_value(*option)) at.option = option;
  } else if (const CLI::App* sub = find_command(*at.command, word)) {
    at.command = sub;
  }
}

bool begins_as(std::string_view value, std::string_view typed) {
  return ascii_lower(value.substr(0, typed.size())) == ascii_lower(typed);
}

/// What a value of the type can be; `prefix` is put before each.
Completion complete_value(const std::string& type, std::string_view typed, std::string_view prefix,
                          const ValueSource& values) {
  Completion completion;
  if (type == "FILE") completion.kind = Completion::Kind::kFiles;
  if (type == "DIR") completion.kind = Completion::Kind::kFolders;
  std::vector<Candidate> possible = values(type);
  if (type.find('|') != std::string::npos) {
    for (const std::string& choice : CLI::detail::split(type, '|'))
      possible.push_back({choice, ""});
  }
  for (Candidate& candidate : possible) {
    if (!begins_as(candidate.value, typed)) continue;
    candidate.value.insert(0, prefix);
    completion.candidates.push_back(std::move(candidate));
  }
  return completion;
}

Completion complete_option_name(const CLI::App& command, std::string_view typed) {
  Completion completion;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (begins_as("--" + name, typed))
        completion.candidates.push_back({"--" + name, option->get_description()});
    }
  }
  return completion;
}

Completion complete_command(const CLI::App& command, std::string_view typed) {
  Completion completion;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty() && begins_as(sub->get_name(), typed))
      completion.candidates.push_back({sub->get_name(), sub->get_description()});
  }
  return completion;
}

}  // namespace

Completion complete(const CLI::App& root, const std::vector<std::string>& words,
                    const ValueSource& values) {
  if (words.empty()) return {};
  Position at{.command = &root};
  for (size_t i = 0; i + 1 < words.size(); ++i) advance(at, words[i]);
  const std::string& typed = words.back();

  if (at.option != nullptr) return complete_value(at.option->get_type_name(), typed, "", values);
  if (typed.starts_with('-') && !at.only_positionals) {
    const size_t equals = typed.find('=');
    if (equals == std::string::npos) return complete_option_name(*at.command, typed);
    const CLI::Option* option = find_option(at.command, typed.substr(0, equals));
    if (option == nullptr) return {};
    return complete_value(option->get_type_name(), typed.substr(equals + 1),
                          typed.substr(0, equals + 1), values);
  }
  Completion completion = complete_command(*at.command, typed);
  for (const CLI::Option* option : at.command->get_options()) {
    if (!completion.candidates.empty() || !option->get_positional()) continue;
    return complete_value(option->get_type_name(), typed, "", values);
  }
  return completion;
}

std::string_view completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return {};
}

}  // namespace safelight::app
