#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "base/result.h"

namespace safelight::request {

/// Tags "<lora:name:weight>" for a JSON list of LoRAs: names, or objects with "name", "weight" (of
/// all) or "unet" and "text_encoder", each 1 where it is not given. Errors: kInvalidArgument for
/// another form, names that a tag cannot hold, and more than 64.
Result<std::string> tags_of_loras(const boost::json::value& list);

}  // namespace safelight::request
