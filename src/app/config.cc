#include "app/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <functional>
#include <map>

#include "base/file.h"
#include "base/text.h"

namespace safelight::app {
namespace {

/// Puts a node into its field; false when the node has another type.
using Setter = std::function<bool(Config&, const toml::node&)>;

struct Key {
  const char* type;  ///< for messages
  Setter set;
};

Key string_key(std::optional<std::string> Config::*field) {
  return {"a string", [field](Config& config, const toml::node& node) {
            config.*field = node.value_exact<std::string>();
            return (config.*field).has_value();
          }};
}

Key list_key(std::vector<std::string> Config::*field) {
  return {"a list of strings", [field](Config& config, const toml::node& node) {
            const toml::array* list = node.as_array();
            if (list == nullptr) return false;
            for (const toml::node& element : *list) {
              const auto text = element.value_exact<std::string>();
              if (!text) return false;
              (config.*field).push_back(*text);
            }
            return true;
          }};
}

bool set_threads(Config& config, const toml::node& node) {
  const auto threads = node.value_exact<int64_t>();
  if (!threads || *threads < 0 || *threads > 1024) return false;
  config.threads = static_cast<int>(*threads);
  return true;
}

bool set_weights_cache(Config& config, const toml::node& node) {
  config.weights_cache = node.value_exact<bool>();
  return config.weights_cache.has_value();
}

bool set_max_memory(Config& config, const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  if (text) config.max_memory = parse_bytes(*text);
  return config.max_memory.has_value();
}

const std::map<std::string_view, Key>& keys() {
  static const std::map<std::string_view, Key> kKeys = {
      {"models_dirs", list_key(&Config::models_dirs)},
      {"wildcards_dirs", list_key(&Config::wildcards_dirs)},
      {"styles_files", list_key(&Config::styles_files)},
      {"model", string_key(&Config::model)},
      {"output_dir", string_key(&Config::output_dir)},
      {"pattern", string_key(&Config::pattern)},
      {"format", string_key(&Config::format)},
      {"precision", string_key(&Config::precision)},
      {"max_memory", {"a size such as \"4G\"", set_max_memory}},
      {"threads", {"an integer from 0 to 1024", set_threads}},
      {"weights_cache", {"true or false", set_weights_cache}},
  };
  return kKeys;
}

/// A number, switch or text as text; nothing for tables and dates.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<int64_t>()) return fmt::format("{}", *number);
  if (const auto real = node.value_exact<double>()) return fmt::format("{}", *real);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  return std::nullopt;
}

bool set_server(Config& config, const toml::node& node, const std::string& name) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return false;
  for (const auto& [key, value] : *table) {
    ServerKey entry{
        std::string(key.str()), {}, fmt::format("{}: line {}", name, key.source().begin.line)};
    if (const toml::array* list = value.as_array()) {
      for (const toml::node& element : *list) {
        const auto text = scalar_text(element);
        if (!text) return false;
        entry.values.push_back(*text);
      }
    } else {
      const auto text = scalar_text(value);
      if (!text) return false;
      entry.values.push_back(*text);
    }
    config.server.push_back(std::move(entry));
  }
  return true;
}

Error unknown_key(const std::string& where, std::string_view key) {
  std::vector<std::string_view> names;
  for (const auto& [name, unused] : keys()) names.push_back(name);
  const std::string_view nearest = nearest_name(key, names);
  return {ErrorCode::kInvalidArgument,
          fmt::format("{}: there is no key '{}'{}", where, key,
                      nearest.empty() ? fmt::format("; the keys are {}", fmt::join(names, ", "))
                                      : fmt::format("; did you mean '{}'?", nearest))};
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& fault) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("{}: line {}: {}", name, fault.source().begin.line, fault.description())};
  }
  Config config;
  for (const auto& [key, node] : table) {
    const std::string where = fmt::format("{}: line {}", name, key.source().begin.line);
    if (key.str() == "server") {
      if (set_server(config, node, name)) continue;
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: [server] holds keys with numbers, texts, switches and lists of "
                               "them alone",
                               where)};
    }
    const auto found = keys().find(key.str());
    if (found == keys().end()) return unknown_key(where, key.str());
    if (!found->second.set(config, node)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: '{}' must be {}", where, key.str(), found->second.type)};
    }
  }
  return config;
}

Result<Config> load_config(const std::filesystem::path& path) {
  constexpr uint64_t kLimit = uint64_t{1} << 20;
  const Result<std::string> text = read_file(path, kLimit);
  if (!text) {
    if (text.error().code == ErrorCode::kNotFound) return Config{};
    return text.error();
  }
  return parse_config(*text, path.string());
}

}  // namespace safelight::app
