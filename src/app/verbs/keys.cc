#include <fmt/chrono.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

#include "app/paths.h"
#include "app/server_files.h"
#include "app/server_settings.h"
#include "app/verbs/verbs.h"
#include "base/secrets.h"
#include "http/auth/key_file.h"

namespace safelight::app {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using http::KeyRecord;

struct Options {
  CLI::App* add = nullptr;
  CLI::App* revoke = nullptr;
  CLI::App* hash = nullptr;
  std::string data_dir, name, role = "user", expires;
  KeyRecord wish;
  bool json = false;
};

/// The keys of the server that `serve` would start.
Result<fs::path> keys_file(const Options& options) {
  const Paths paths = find_paths(process_environment);
  const Result<Config> config = load_config(paths.config_file);
  if (!config) return config.error();
  Result<ServerSettings> settings = read_settings(*config, process_environment, {});
  if (!settings) return settings.error();
  if (!options.data_dir.empty()) settings->data_dir = options.data_dir;
  return server_folders(*settings, paths).data / "keys.json";
}

/// "30d" from now, or the beginning of a day (UTC) as "2027-01-31"; 0 for nothing.
Result<int64_t> parse_expiry(const std::string& text, int64_t now) {
  if (text.empty()) return int64_t{0};
  std::tm day{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%d", &day);
  int64_t expires = 0;
  if (end != nullptr && *end == '\0') {
    expires = ::timegm(&day);
  } else if (const auto length = parse_duration_ms(text)) {
    expires = now + *length / 1000;
  }
  if (expires > now) return expires;
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("--expires is '{}'; a time such as 30d or a day to come such as "
                           "2027-01-31 is needed",
                           text)};
}

std::string date(int64_t time) {
  return time == 0 ? "-" : fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(std::time_t{time}));
}

std::string state(const KeyRecord& key, int64_t now) {
  return key.revoked != 0 ? "revoked" : key.active(now) ? "active" : "expired";
}

std::string limits(const KeyRecord& key) {
  std::string text;
  const auto add = [&](double limit, const char* unit) {
    if (limit > 0) text += fmt::format("{}{:.10g} {}", text.empty() ? "" : ", ", limit, unit);
  };
  add(static_cast<double>(key.quota.pictures), "pictures/day");
  add(key.quota.megapixel_steps, "megapixel-steps/day");
  add(key.per_minute, "requests/min");
  return text.empty() ? "-" : text;
}

json::object to_json(const KeyRecord& key, int64_t now) {
  const auto time = [](int64_t seconds) {
    return seconds == 0 ? json::value(nullptr) : json::value(seconds);
  };
  return {{"id", key.id},
          {"name", key.name},
          {"role", api::role_name(key.role)},
          {"state", state(key, now)},
          {"pictures_per_day", key.quota.pictures},
          {"megapixel_steps_per_day", key.quota.megapixel_steps},
          {"requests_per_minute", key.per_minute},
          {"created", time(key.created)},
          {"expires", time(key.expires)},
          {"last_used", time(key.last_used)},
          {"revoked", time(key.revoked)}};
}

Status run_add(const Options& options, const fs::path& file, int64_t now) {
  KeyRecord wish = options.wish;
  wish.name = options.name;
  const auto role = api::find_role(options.role);
  if (!role) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("--role is '{}'; viewer, user or admin is needed", options.role)};
  }
  wish.role = *role;
  const Result<int64_t> expires = parse_expiry(options.expires, now);
  if (!expires) return expires.error();
  wish.expires = *expires;
  const Result<http::AddedKey> added = http::add_key(file, wish, now);
  if (!added) return added.error();
  if (options.json) {
    json::object object = to_json(added->record, now);
    object["key"] = added->key;
    return print_out(json::serialize(object) + "\n");
  }
  // The key alone on stdout, for scripts.
  fmt::print(stderr, "key {} of '{}', {}; it is shown this once:\n", added->record.id,
             added->record.name, api::role_name(added->record.role));
  return print_out(added->key + "\n");
}

Status run_list(const Options& options, const fs::path& file, int64_t now) {
  const Result<std::vector<KeyRecord>> keys = http::read_keys(file);
  if (!keys) return keys.error();
  if (options.json) {
    json::array array;
    for (const KeyRecord& key : *keys) array.push_back(to_json(key, now));
    return print_out(json::serialize(array) + "\n");
  }
  if (keys->empty()) return print_out("no keys; make one with 'safelight keys add NAME'\n");
  size_t width = 4;
  for (const KeyRecord& key : *keys) width = std::max(width, key.name.size());
  constexpr auto kLine = "{:<12}  {:<{}}  {:<6}  {:<7}  {:<16}  {:<16}  {:<16}  {}\n";
  std::string text = fmt::format(fmt::runtime(kLine), "ID", "NAME", width, "ROLE", "STATE",
                                 "CREATED (UTC)", "LAST USED", "EXPIRES", "LIMITS");
  for (const KeyRecord& key : *keys) {
    text += fmt::format(fmt::runtime(kLine), key.id, key.name, width, api::role_name(key.role),
                        state(key, now), date(key.created), date(key.last_used), date(key.expires),
                        limits(key));
  }
  return print_out(text);
}

Status run_revoke(const Options& options, const fs::path& file, int64_t now) {
  const Result<KeyRecord> revoked = http::revoke_key(file, options.name, now);
  if (!revoked) return revoked.error();
  if (options.json) return print_out(json::serialize(to_json(*revoked, now)) + "\n");
  return print_out(
      fmt::format("revoked key {} of '{}'; running servers refuse it within a second\n",
                  revoked->id, revoked->name));
}

/// A line from stdin, not shown while it is typed.
std::string read_password() {
  termios shown{};
  const bool terminal = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  if (terminal) {
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    fmt::print(stderr, "Password: ");
  }
  std::string password;
  std::getline(std::cin, password);
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fmt::print(stderr, "\n");
  }
  return password;
}

Status run_hash() {
  const std::string password = read_password();
  if (password.empty())
    return Error{ErrorCode::kInvalidArgument, "no password came; it is read from stdin"};
  const Result<std::string> hash = hash_password(password);
  if (!hash) return hash.error();
  return print_out(*hash + "\n");
}

Status run(const Options& options) {
  if (options.hash->parsed()) return run_hash();
  const Result<fs::path> file = keys_file(options);
  if (!file) return file.error();
  const int64_t now = std::time(nullptr);
  if (options.add->parsed()) return run_add(options, *file, now);
  if (options.revoke->parsed()) return run_revoke(options, *file, now);
  return run_list(options, *file, now);
}

void add_common(CLI::App& command, Options& options) {
  command.add_flag("--json", options.json, "Print JSON");
  command.add_option("--data-dir", options.data_dir, "The server's data folder")->type_name("DIR");
}

void add_add(CLI::App& command, Options& options) {
  options.add = command.add_subcommand("add", "Make a key, and print it once");
  CLI::App& add = *options.add;
  add.add_option("NAME", options.name, "Whose key it is: the owner of its jobs")
      ->required()
      ->type_name("NAME");
  add.add_option("--role", options.role,
                 "What it may: viewer (look), user (generate), admin (everything) [user]")
      ->type_name("viewer|user|admin");
  add.add_option("--expires", options.expires, "When it ends, such as 30d or 2027-01-31 [never]")
      ->type_name("TIME");
  const auto limit = [&](const char* name, auto& value, const char* help) {
    add.add_option(name, value, help)->type_name("NUMBER")->check(CLI::NonNegativeNumber);
  };
  limit("--pictures-per-day", options.wish.quota.pictures, "Pictures a day (UTC) [no limit]");
  limit("--megapixel-steps-per-day", options.wish.quota.megapixel_steps,
        "Megapixels times steps of all pictures of a day (UTC) [no limit]");
  limit("--requests-per-minute", options.wish.per_minute, "Requests a minute [as the server's]");
  add_common(add, options);
}

}  // namespace

Verb add_keys(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("keys", "Make, list and revoke a server's API keys");
  command->require_subcommand(1);
  add_add(*command, *options);
  add_common(*command->add_subcommand("list", "List the keys"), *options);
  options->revoke = command->add_subcommand("revoke", "Revoke a key, for running servers as well");
  options->revoke->add_option("KEY", options->name, "Its name or id")->required()->type_name("KEY");
  add_common(*options->revoke, *options);
  options->hash = command->add_subcommand(
      "hash-password", "Print the argon2id hash of a password read from stdin, for an auth file");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
