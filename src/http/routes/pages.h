#pragma once

#include "http/exchange.h"

namespace safelight::http {

/// The page at /, the API's documentation at /docs, and their files: all embedded in the program.
void add_page_routes(Router& router);

}  // namespace safelight::http
