#include "app/paths.h"

#include <cstdlib>

namespace safelight::app {
namespace fs = std::filesystem;

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Paths find_paths(const Environment& environment) {
  const auto home = environment("HOME");
  std::error_code ignored;
  const fs::path fallback = home ? fs::path(*home) : fs::temp_directory_path(ignored) / "safelight";
  const auto folder = [&](const char* variable, const char* below_home) {
    const auto value = environment(variable);
    const bool usable = value && fs::path(*value).is_absolute();
    return (usable ? fs::path(*value) : fallback / below_home) / "safelight";
  };
  const fs::path data = folder("XDG_DATA_HOME", ".local/share");
  return {.config_file = folder("XDG_CONFIG_HOME", ".config") / "config.toml",
          .cache = folder("XDG_CACHE_HOME", ".cache"),
          .models = data / "models",
          .outputs = data / "outputs" / "text",
          .server = data / "server"};
}

fs::path expand_home(const std::string& path, const Environment& environment) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const auto home = environment("HOME");
  if (!home) return path;
  return path == "~" ? fs::path(*home) : fs::path(*home) / path.substr(2);
}

std::vector<std::string> split_path_list(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<fs::path> shipped_models(const fs::path& executable) {
  const fs::path folder = executable.parent_path();
  // Installed: bin/ beside share/. Built: build/<preset>/bin/ in the source tree.
  for (const char* relative : {"../share/safelight/models", "../../../models"}) {
    const fs::path candidate = (folder / relative).lexically_normal();
    std::error_code ignored;
    if (fs::is_directory(candidate, ignored)) return candidate;
  }
  return std::nullopt;
}

fs::path executable_path() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored);
}

}  // namespace safelight::app
