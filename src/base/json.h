#pragma once

#include <boost/json/value.hpp>
#include <string_view>

#include "base/result.h"

namespace safelight {

/// Parses untrusted JSON text: nesting limited to `max_depth`, duplicate keys refused.
/// Errors: kInvalidArgument with the byte position.
Result<boost::json::value> parse_json(std::string_view text, size_t max_depth = 32);

}  // namespace safelight
