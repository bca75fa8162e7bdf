#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace safelight::api {

enum class Role { kViewer, kUser, kAdmin };

std::string_view role_name(Role role);  ///< "viewer", "user", "admin"
std::optional<Role> find_role(std::string_view name);

/// What may be asked for in a day (UTC); 0: without limit.
struct Quota {
  int64_t pictures = 0;
  double megapixel_steps = 0;

  bool operator==(const Quota&) const = default;
};

/// Who asks, after authentication.
struct Principal {
  std::string name = "local";  ///< owner of the jobs it submits
  Role role = Role::kAdmin;
  std::string key_id = {};  ///< of the API key; empty for passwords and without auth
  Quota quota = {};

  bool is_admin() const { return role == Role::kAdmin; }
  /// Owners see their own jobs, admins all.
  bool may_see(const std::string& owner) const { return is_admin() || owner == name; }
};

}  // namespace safelight::api
