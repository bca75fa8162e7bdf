#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "base/result.h"

namespace safelight::api::sdapi {

/// SD WebUI's "png-info" of a picture file in base64, with or without "data:...;base64," before it:
/// {"info", "items", "parameters"}. No pixel is decoded. Errors: kInvalidArgument for what is no
/// base64, kUnsupported for another format than PNG, JPEG and WebP.
Result<boost::json::object> png_info(std::string_view image);

}  // namespace safelight::api::sdapi
