#pragma once

#include <string>
#include <string_view>

#include "http/exchange.h"

namespace safelight::http {

/// The page on which people sign in: works without scripts, loads nothing. `next`: the path to go
/// to afterwards; `message`: what went wrong, empty at first.
Reply login_page(std::string_view next, std::string_view message, int status = 200);

/// `next` if it is a path of this server, else the server's own start, relative to /login.
std::string safe_next(std::string_view next);

}  // namespace safelight::http
