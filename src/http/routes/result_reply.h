#pragma once

#include <string>

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

/// A result file of a job with ETag, ranges and its name, as far as the request's headers ask for
/// it. Blocks. Errors are answered in the form.
Reply result_reply(const Exchange& exchange, api::Backend& backend, const jobs::Job& job,
                   int64_t index, ErrorForm form);

}  // namespace safelight::http
