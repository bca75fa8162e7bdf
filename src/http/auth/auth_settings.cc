#include "http/auth/auth_settings.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"

namespace safelight::http {
namespace {

/// "user:password"; the password may hold colons. Messages do not repeat what may be a password.
Result<UserSettings> parse_user(std::string_view entry, size_t number) {
  const size_t colon = entry.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == entry.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("entry {} is not of the form user:password", number)};
  }
  return UserSettings{.name = std::string(entry.substr(0, colon)),
                      .password = std::string(entry.substr(colon + 1)),
                      .quota = {}};
}

/// The entries of one line, appended to `users`.
Status parse_line(std::string_view line, std::vector<UserSettings>& users) {
  // A hash has commas of its own.
  const bool hashed = line.find(":$argon2id$") != std::string_view::npos;
  while (!line.empty()) {
    const size_t end = hashed ? line.size() : std::min(line.find(','), line.size());
    const std::string_view entry = trimmed(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
    if (entry.empty()) continue;
    Result<UserSettings> user = parse_user(entry, users.size() + 1);
    if (!user) return user.error();
    users.push_back(std::move(*user));
  }
  return {};
}

}  // namespace

Result<std::vector<UserSettings>> parse_users(std::string_view text) {
  std::vector<UserSettings> users;
  if (Status parsed = parse_line(trimmed(text), users); !parsed) return parsed.error().in("--auth");
  if (users.empty())
    return Error{ErrorCode::kInvalidArgument, "--auth: names no user; it takes user:password"};
  return users;
}

Result<std::vector<UserSettings>> read_auth_file(const std::filesystem::path& path) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 20;
  const Result<std::string> text = read_file(path, kMostBytes);
  if (!text) return text.error().in("--auth-file");
  std::vector<UserSettings> users;
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.starts_with('#')) continue;
    if (Status parsed = parse_line(line, users); !parsed) return parsed.error().in(path.string());
  }
  if (users.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 path.string() + ": names no user; a line is user:password"};
  }
  return users;
}

}  // namespace safelight::http
