#include "http/auth/exposure.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "http/auth/address.h"
#include "http/auth/key_file.h"

namespace safelight::http {

bool is_local(std::string_view address) {
  if (ascii_lower(address) == "localhost") return true;
  const auto literal = parse_address(address);
  return literal && is_loopback(*literal);
}

Status check_exposure(std::string_view address, const AuthSettings& settings) {
  if (is_local(address) || !settings.users.empty()) return {};
  if (!settings.keys_file.empty()) {
    const Result<std::vector<KeyRecord>> keys = read_keys(settings.keys_file);
    if (!keys) return keys.error();
    const int64_t now = std::time(nullptr);
    if (std::any_of(keys->begin(), keys->end(), [&](const auto& key) { return key.active(now); }))
      return {};
  }
  return Error{ErrorCode::kForbidden,
               fmt::format("will not listen on {}, where others reach it, while nobody needs to "
                           "sign in; make a key with 'safelight keys add NAME', give "
                           "--auth user:password, or listen on 127.0.0.1",
                           address)};
}

}  // namespace safelight::http
