#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config.h"
#include "app/paths.h"
#include "base/result.h"

namespace safelight::app {

using Texts = std::vector<std::string>;

/// A length of time in milliseconds; as text "250ms", "30s", "15m", "12h", "7d" or plain seconds.
struct Duration {
  int64_t ms = 0;
};
/// Bytes; as text "4G".
struct Size {
  uint64_t bytes = 0;
};

/// What an operator decides about a server.
struct ServerSettings {
  std::string listen = "127.0.0.1";
  int64_t port = 7860;
  std::string data_dir, output_dir;  ///< empty: where the XDG specification says
  std::string subpath;
  std::string tls_certificate, tls_key;
  Texts cors_origins, allowed_hosts, trusted_proxies;
  Texts auth;  ///< user:password
  std::string auth_file;
  std::optional<int64_t> rate_limit;  ///< requests a minute by address and by caller
  bool open_metrics = false;
  int64_t max_connections = 10'000;
  Duration grace{30'000};
  std::string log_level = "info";
  bool access_log = true;
  // Jobs.
  std::string broker, broker_ca, name;
  bool front_only = false;  ///< no worker of its own
  int64_t max_queue = 100'000;
  Duration job_timeout, keep_results, idle_unload, patience{10'000};
  Size max_results;
  // The worker.
  std::string model;
  Texts models_dirs, pinned_models;
  Texts wildcards_dirs, styles_files;
  std::string precision;
  int64_t threads = 0;
  Size max_memory;
  bool weights_cache = false;
};

/// One setting: its key in the configuration file's [server] table; with '-' for '_' the flag; in
/// capitals behind SAFELIGHT_ the environment variable.
struct Setting {
  std::string_view key;
  std::variant<std::string ServerSettings::*, int64_t ServerSettings::*,
               std::optional<int64_t> ServerSettings::*, bool ServerSettings::*,
               Texts ServerSettings::*, Duration ServerSettings::*, Size ServerSettings::*>
      member;
  std::string_view aliases;  ///< further flags, separated by commas: those of SD WebUI and SD.Next
  std::string_view type;     ///< for help and completion
  std::string_view group;
  std::string_view help;
  bool secret = false;  ///< its value is shown nowhere
};

/// The one table, in the order of help.
std::span<const Setting> server_settings();

/// Errors: kInvalidArgument naming the setting, what it got and what it needs.
Status set_text(ServerSettings& settings, const Setting& setting, const Texts& values);

/// Parses "30s". Nothing for other text.
std::optional<int64_t> parse_duration_ms(std::string_view text);

/// Flags of a command as given: values by setting.
using GivenSettings = std::map<const Setting*, Texts>;

/// Adds a flag for each setting, and the flags of SD WebUI and SD.Next that mean nothing here
/// (accepted, with a word on what to use instead in `notes`).
void add_setting_flags(CLI::App& command, GivenSettings& given, Texts& notes);

/// Defaults, then the configuration file, the environment, the flags. Errors: those of set_text
/// naming where the value came from.
Result<ServerSettings> read_settings(const Config& config, const Environment& environment,
                                     const GivenSettings& flags);

/// Every setting that differs from its default, as "key", "value"; secrets are left out.
std::vector<std::pair<std::string, std::string>> shown_settings(const ServerSettings& settings);

}  // namespace safelight::app
