#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::app {

/// A key of the file's [server] table; app/server_settings.h knows what it means.
struct ServerKey {
  std::string key;
  std::vector<std::string> values;  ///< several for a list
  std::string where;                ///< file and line, for messages
};

/// The configuration file: what a user wants always, unless a flag says otherwise.
struct Config {
  std::vector<std::string> models_dirs;  ///< further roots of models
  std::vector<std::string> wildcards_dirs, styles_files;
  std::optional<std::string> model;       ///< the default model
  std::optional<std::string> output_dir;  ///< where pictures go without -o
  std::optional<std::string> pattern;     ///< their names
  std::optional<std::string> format;      ///< their format
  std::optional<std::string> precision;
  std::optional<int> threads;
  std::optional<bool> weights_cache;   ///< keep packed weights on disk
  std::optional<uint64_t> max_memory;  ///< bytes for weights and working memory
  std::vector<ServerKey> server;
};

/// Reads TOML text; `name` is for messages. Errors: kInvalidArgument with the line for bad syntax,
/// a key that does not exist (naming the nearest), and a value of the wrong type.
Result<Config> parse_config(std::string_view text, const std::string& name);

/// The file at `path`, or the defaults where there is none. Errors: those of parse_config and of
/// reading.
Result<Config> load_config(const std::filesystem::path& path);

}  // namespace safelight::app
