#pragma once

#include <string>

namespace safelight::api {

enum class Role { kViewer, kUser, kAdmin };

/// Who asks, after authentication.
struct Principal {
  std::string name = "local";  ///< owner of the jobs it submits
  Role role = Role::kAdmin;
  std::string key_id;  ///< of the API key; empty for passwords and without auth

  bool is_admin() const { return role == Role::kAdmin; }
  /// Owners see their own jobs, admins all.
  bool may_see(const std::string& owner) const { return is_admin() || owner == name; }
};

}  // namespace safelight::api
