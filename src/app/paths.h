#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace safelight::app {

/// Looks an environment variable up; nothing when it is unset or empty.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// The environment of this process.
std::optional<std::string> process_environment(const char* name);

/// Where a user's things lie.
struct Paths {
  std::filesystem::path config_file;  ///< $XDG_CONFIG_HOME/safelight/config.toml
  std::filesystem::path cache;        ///< $XDG_CACHE_HOME/safelight
  std::filesystem::path models;       ///< $XDG_DATA_HOME/safelight/models
  std::filesystem::path outputs;      ///< $XDG_DATA_HOME/safelight/outputs/text
  std::filesystem::path server;       ///< $XDG_DATA_HOME/safelight/server: jobs, results, keys
};

/// By the XDG Base Directory Specification 0.8: relative values are ignored, and without a home
/// folder everything lies below the folder for temporary files.
Paths find_paths(const Environment& environment);

/// `path` with a leading "~" or "~/" replaced by the home folder.
std::filesystem::path expand_home(const std::string& path, const Environment& environment);

/// The elements of a list like $PATH; empty ones are left out.
std::vector<std::string> split_path_list(const std::string& list);

/// The folder of the model that comes with the program: beside an installed program
/// (`../share/safelight/models`) or in the source tree that it was built in. Nothing if absent.
std::optional<std::filesystem::path> shipped_models(const std::filesystem::path& executable);

/// The path of the running program.
std::filesystem::path executable_path();

}  // namespace safelight::app
