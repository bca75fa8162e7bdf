#include "app/server_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace safelight::app {
namespace {

using S = ServerSettings;

// clang-format off
constexpr std::array kSettings = {
    Setting{"listen", &S::listen, "--server-name,--address", "ADDRESS", "Network",
            "Address to listen on; without a value 0.0.0.0, which needs keys or --auth [127.0.0.1]"},
    Setting{"port", &S::port, "-p", "NUMBER", "Network", "Port; 0 takes a free one [7860]"},
    Setting{"subpath", &S::subpath, "", "TEXT", "Network", "Prefix of all paths, such as /sd"},
    Setting{"tls_certificate", &S::tls_certificate, "--tls-certfile", "FILE", "Network", "PEM file: serve HTTPS"},
    Setting{"tls_key", &S::tls_key, "--tls-keyfile", "FILE", "Network", "PEM file with the certificate's key"},
    Setting{"cors_origins", &S::cors_origins, "--cors-allow-origins", "ORIGIN", "Network",
            "Web origins that may call the API, such as https://example.org"},
    Setting{"allowed_hosts", &S::allowed_hosts, "", "NAME", "Network", "Further names by which clients may call this server"},
    Setting{"trusted_proxies", &S::trusted_proxies, "", "ADDRESS", "Network",
            "Reverse proxies whose X-Forwarded headers are believed"},
    Setting{"max_connections", &S::max_connections, "", "NUMBER", "Network", "Open connections at most [10000]"},
    Setting{"grace", &S::grace, "", "TIME", "Network", "At the end, how long running requests and jobs may take [30s]"},
    Setting{"auth", &S::auth, "--api-auth,--gradio-auth", "USER:PASSWORD", "Access", "A user with password", true},
    Setting{"auth_file", &S::auth_file, "--gradio-auth-path", "FILE", "Access", "File with a user:password a line"},
    Setting{"rate_limit", &S::rate_limit, "", "NUMBER", "Access", "Requests a minute by address and by caller, 0 for no limit [300 where credentials are needed]"},
    Setting{"open_metrics", &S::open_metrics, "", "", "Access", "Show /metrics without credentials"},
    Setting{"data_dir", &S::data_dir, "", "DIR", "Files", "Folder of jobs, results, keys and options"},
    Setting{"output_dir", &S::output_dir, "", "DIR", "Files", "Folder for pictures that are saved besides"},
    Setting{"log_level", &S::log_level, "", "trace|debug|info|warn|error|off", "Files", "How much is logged [info]"},
    Setting{"access_log", &S::access_log, "", "true|false", "Files", "Log each request [true]"},
    Setting{"broker", &S::broker, "", "URL", "Jobs", "redis:// or rediss:// of a service of many servers", true},
    Setting{"broker_ca", &S::broker_ca, "", "FILE", "Jobs", "PEM file of the authority that signed the broker's certificate"},
    Setting{"name", &S::name, "", "TEXT", "Jobs", "Name of this server's worker in the service [host and process]"},
    Setting{"front_only", &S::front_only, "", "", "Jobs", "With --broker: no worker here"},
    Setting{"max_queue", &S::max_queue, "", "NUMBER", "Jobs", "Jobs that may wait [100000]"},
    Setting{"job_timeout", &S::job_timeout, "", "TIME", "Jobs", "How long one job may run, such as 15m [no limit]"},
    Setting{"keep_results", &S::keep_results, "", "TIME", "Jobs", "Remove finished jobs with their results after, such as 30d [never]"},
    Setting{"max_results", &S::max_results, "", "SIZE", "Jobs", "Remove the oldest results beyond, such as 20G [never]"},
    Setting{"patience", &S::patience, "", "TIME", "Jobs", "How long jobs of the loaded model may go first [10s]"},
    Setting{"idle_unload", &S::idle_unload, "", "TIME", "Jobs", "Unload models when nothing was drawn for, such as 15m [never]"},
    Setting{"model", &S::model, "-m,--ckpt", "MODEL", "Worker", "Default model"},
    Setting{"models_dirs", &S::models_dirs, "--models-dir,--ckpt-dir", "DIR", "Worker", "A further folder of models"},
    Setting{"wildcards_dirs", &S::wildcards_dirs, "--wildcards-dir", "DIR", "Worker", "A further folder of wildcards"},
    Setting{"styles_files", &S::styles_files, "--styles-file,--styles-dir", "FILE", "Worker", "A further file (styles.csv) or folder of styles"},
    Setting{"pinned_models", &S::pinned_models, "--pin-model", "MODEL", "Worker", "A model that stays in memory"},
    Setting{"precision", &S::precision, "", "auto|f32|bf16", "Worker", "Arithmetic [auto]"},
    Setting{"threads", &S::threads, "", "NUMBER", "Worker", "Threads of the engine; 0 for one each processor [0]"},
    Setting{"max_memory", &S::max_memory, "", "SIZE", "Worker", "Memory for models and work, such as 4G [all that is free]"},
    Setting{"weights_cache", &S::weights_cache, "", "", "Worker", "Keep packed weights on disk for a faster start"},
};

/// A flag of SD WebUI or SD.Next that has no twin here.
struct OldFlag {
  std::string_view name;
  bool value;  ///< takes one
  std::string_view instead;
};

constexpr std::array kOldFlags = {
    OldFlag{"--api", false, "the API is always on"},
    OldFlag{"--api-only", false, "the API is always on"},
    OldFlag{"--nowebui", false, "the API is always on"},
    OldFlag{"--medvram", false, "--max-memory bounds memory"},
    OldFlag{"--lowvram", false, "--max-memory bounds memory"},
    OldFlag{"--lowram", false, "--max-memory bounds memory"},
    OldFlag{"--no-half", false, "--precision f32 does the same"},
    OldFlag{"--no-half-vae", false, "the VAE never overflows here"},
    OldFlag{"--upcast-sampling", false, "--precision chooses the arithmetic"},
    OldFlag{"--xformers", false, "attention is always fused"},
    OldFlag{"--opt-sdp-attention", false, "attention is always fused"},
    OldFlag{"--opt-sdp-no-mem-attention", false, "attention is always fused"},
    OldFlag{"--skip-torch-cuda-test", false, "there is no torch here"},
    OldFlag{"--use-cpu", true, "the processor is used where there is no GPU"},
    OldFlag{"--disable-safe-unpickle", false, "pickles are never executed"},
    OldFlag{"--no-hashing", false, "hashes are remembered"},
    OldFlag{"--autolaunch", false, "open the address that is printed"},
    OldFlag{"--theme", true, "the page follows the browser's theme"},
    OldFlag{"--share", false, "no tunnel is opened; use a reverse proxy"},
    OldFlag{"--insecure", false, "nothing is made less safe"},
    OldFlag{"--enable-insecure-extension-access", false, "there are no extensions"},
    OldFlag{"--quick", false, "the start is always quick"},
};

std::string flag_of(const Setting& setting) {
  std::string name = "--" + std::string(setting.key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string environment_name(const Setting& setting) {
  std::string name = "SAFELIGHT_";
  for (const char c : setting.key) {
    name += c == '_' ? '_' : static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

Error wrong(const Setting& setting, const std::string& value, std::string_view wanted) {
  return {ErrorCode::kInvalidArgument,
          setting.secret ? fmt::format("{} must be {}", setting.key, wanted)
                         : fmt::format("{} is '{}'; {} is needed", setting.key, value, wanted)};
}

std::optional<bool> parse_switch(const std::string& text) {
  const std::string lower = ascii_lower(text);
  if (lower == "true" || lower == "1" || lower == "yes" || lower == "on") return true;
  if (lower == "false" || lower == "0" || lower == "no" || lower == "off") return false;
  return std::nullopt;
}

/// Puts texts into the member that a setting names.
struct Assign {
  ServerSettings& settings;
  const Setting& setting;
  const Texts& values;

  const std::string& last() const { return values.back(); }

  Status operator()(std::string S::*member) const {
    settings.*member = last();
    return {};
  }
  Status operator()(Texts S::*member) const {
    settings.*member = values;
    return {};
  }
  template <class Number>  // int64_t, or an optional one
  Status number(Number S::*member) const {
    const char* end = last().data() + last().size();
    int64_t value = 0;
    const auto [rest, failure] = std::from_chars(last().data(), end, value);
    if (failure != std::errc() || rest != end || value < 0) {
      return wrong(setting, last(), "a whole number from 0");
    }
    settings.*member = value;
    return {};
  }
  Status operator()(int64_t S::*member) const { return number(member); }
  Status operator()(std::optional<int64_t> S::*member) const { return number(member); }
  Status operator()(bool S::*member) const {
    const auto value = parse_switch(last());
    if (!value) return wrong(setting, last(), "true or false");
    settings.*member = *value;
    return {};
  }
  Status operator()(Duration S::*member) const {
    const auto ms = parse_duration_ms(last());
    if (!ms) return wrong(setting, last(), "a time such as 30s, 15m or 7d");
    (settings.*member).ms = *ms;
    return {};
  }
  Status operator()(Size S::*member) const {
    const auto bytes = parse_bytes(last());
    if (!bytes) return wrong(setting, last(), "a size such as 4G or 512M");
    (settings.*member).bytes = *bytes;
    return {};
  }
};

/// How a value reads, for comparing with the default and for showing.
struct Show {
  const ServerSettings& settings;

  std::string operator()(std::string S::*member) const { return settings.*member; }
  std::string operator()(Texts S::*member) const {
    return fmt::format("{}", fmt::join(settings.*member, ","));
  }
  std::string operator()(int64_t S::*member) const { return fmt::format("{}", settings.*member); }
  std::string operator()(std::optional<int64_t> S::*member) const {
    return settings.*member ? fmt::format("{}", *(settings.*member)) : "";
  }
  std::string operator()(bool S::*member) const { return settings.*member ? "true" : "false"; }
  std::string operator()(Duration S::*member) const {
    return fmt::format("{}ms", (settings.*member).ms);
  }
  std::string operator()(Size S::*member) const {
    return fmt::format("{}", (settings.*member).bytes);
  }
};

Status check(const ServerSettings& settings) {
  constexpr int64_t kLastPort = 65535;
  if (settings.port > kLastPort) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("port is {}; 0 to {} is possible", settings.port, kLastPort)};
  }
  if (settings.tls_certificate.empty() != settings.tls_key.empty()) {
    return Error{ErrorCode::kInvalidArgument, "tls_certificate and tls_key are given together"};
  }
  if (settings.front_only && settings.broker.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "front_only leaves nobody to draw: it needs --broker, whose workers do"};
  }
  if (!settings.subpath.empty() &&
      (!settings.subpath.starts_with('/') || settings.subpath.ends_with('/'))) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("subpath is '{}'; it begins with '/' and does not end with one",
                             settings.subpath)};
  }
  return {};
}

}  // namespace

std::span<const Setting> server_settings() { return kSettings; }

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  constexpr int64_t kMost = 100'000'000;
  if (failure != std::errc() || number < 0 || number > kMost) return std::nullopt;
  struct Unit {
    std::string_view name;
    int64_t ms;
  };
  constexpr std::array kUnits = {Unit{"", 1000},      Unit{"ms", 1},           Unit{"s", 1000},
                                 Unit{"m", 60'000},   Unit{"h", 3'600'000},    Unit{"d", 86'400'000}};
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  for (const Unit& known : kUnits) {
    if (known.name == unit) return number * known.ms;
  }
  return std::nullopt;
}

Status set_text(ServerSettings& settings, const Setting& setting, const Texts& values) {
  if (values.empty()) return {};
  return std::visit(Assign{settings, setting, values}, setting.member);
}

void add_setting_flags(CLI::App& command, GivenSettings& given, Texts& notes) {
  for (const Setting& setting : kSettings) {
    std::string names = flag_of(setting);
    if (!setting.aliases.empty()) names += "," + std::string(setting.aliases);
    const std::string help(setting.help);
    CLI::Option* option = nullptr;
    if (std::holds_alternative<bool S::*>(setting.member) && setting.type.empty()) {
      option = command.add_flag_function(
          names, [&given, &setting](int64_t) { given[&setting] = {"true"}; }, help);
    } else if (std::holds_alternative<Texts S::*>(setting.member)) {
      option = command.add_option_function<Texts>(
          names,
          [&given, &setting](const Texts& values) {
            for (const std::string& value : values) {
              for (const std::string& each : CLI::detail::split(value, ','))
                given[&setting].push_back(each);
            }
          },
          help);
      option->allow_extra_args(false);
    } else {
      option = command.add_option_function<std::string>(
          names, [&given, &setting](const std::string& value) { given[&setting] = {value}; }, help);
    }
    // SD WebUI's --listen stands alone.
    if (setting.key == "listen") option->expected(0, 1)->default_str("0.0.0.0");
    if (!setting.type.empty()) option->type_name(std::string(setting.type));
    option->group(std::string(setting.group));
  }
  for (const OldFlag& old : kOldFlags) {
    const std::string name(old.name);
    const std::string note = fmt::format("{} does nothing here: {}", old.name, old.instead);
    if (old.value) {
      command.add_option_function<std::string>(
          name, [&notes, note](const std::string&) { notes.push_back(note); })->group("");
    } else {
      command.add_flag_function(name, [&notes, note](int64_t) { notes.push_back(note); })->group("");
    }
  }
}

Result<ServerSettings> read_settings(const Config& config, const Environment& environment,
                                     const GivenSettings& flags) {
  ServerSettings settings;
  if (config.model) settings.model = *config.model;
  if (config.precision) settings.precision = *config.precision;
  if (config.threads) settings.threads = *config.threads;
  if (config.weights_cache) settings.weights_cache = *config.weights_cache;
  if (config.max_memory) settings.max_memory.bytes = *config.max_memory;
  if (config.output_dir) settings.output_dir = *config.output_dir;
  for (const ServerKey& given : config.server) {
    const auto* setting =
        std::find_if(kSettings.begin(), kSettings.end(),
                     [&](const Setting& known) { return known.key == given.key; });
    if (setting == kSettings.end()) {
      std::vector<std::string_view> names;
      for (const Setting& known : kSettings) names.push_back(known.key);
      const std::string_view nearest = nearest_name(given.key, names);
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: [server] has no key '{}'{}", given.where, given.key,
                               nearest.empty() ? "; see 'safelight serve --help'"
                                               : fmt::format("; did you mean '{}'?", nearest))};
    }
    if (Status set = set_text(settings, *setting, given.values); !set)
      return set.error().in(given.where);
  }
  for (const Setting& setting : kSettings) {
    const std::string name = environment_name(setting);
    const auto value = environment(name.c_str());
    // SAFELIGHT_MODELS_DIR is a list of its own form that open_library reads.
    if (!value) continue;
    const bool list = std::holds_alternative<Texts S::*>(setting.member);
    if (Status set = set_text(settings, setting,
                              list ? CLI::detail::split(*value, ',') : Texts{*value});
        !set) {
      return set.error().in(name);
    }
  }
  for (const auto& [setting, values] : flags) {
    if (Status set = set_text(settings, *setting, values); !set)
      return set.error().in(flag_of(*setting));
  }
  if (Status good = check(settings); !good) return good.error();
  return settings;
}

std::vector<std::pair<std::string, std::string>> shown_settings(const ServerSettings& settings) {
  std::vector<std::pair<std::string, std::string>> shown;
  const ServerSettings defaults;
  for (const Setting& setting : kSettings) {
    if (setting.secret) continue;
    std::string value = std::visit(Show{settings}, setting.member);
    if (value != std::visit(Show{defaults}, setting.member)) {
      shown.emplace_back(setting.key, std::move(value));
    }
  }
  return shown;
}

}  // namespace safelight::app
