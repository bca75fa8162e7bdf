#pragma once

#include <string_view>

#include "http/auth/auth_settings.h"

namespace safelight::http {

/// Whether only programs of this machine reach a server at `address`: localhost or a loopback
/// literal. Other names count as reachable from elsewhere.
bool is_local(std::string_view address);

/// Whether a server may listen at `address`: elsewhere than on loopback only when somebody can sign
/// in. Call it for each address. Errors: kForbidden with the remedies; those of read_keys.
Status check_exposure(std::string_view address, const AuthSettings& settings);

}  // namespace safelight::http
