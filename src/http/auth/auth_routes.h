#pragma once

#include "http/auth/auth_service.h"
#include "http/exchange.h"

namespace safelight::http {

/// GET and POST /login, POST /logout and GET /api/v1/me. `auth` outlives the router.
void add_auth_routes(Router& router, AuthService& auth);

}  // namespace safelight::http
