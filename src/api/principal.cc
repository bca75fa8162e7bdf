#include "api/principal.h"

namespace safelight::api {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kUser:
      return "user";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Role> find_role(std::string_view name) {
  for (const Role role : {Role::kViewer, Role::kUser, Role::kAdmin}) {
    if (role_name(role) == name) return role;
  }
  return std::nullopt;
}

}  // namespace safelight::api
