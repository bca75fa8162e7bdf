#pragma once

#include <string>

#include "api/backend.h"
#include "http/exchange.h"

namespace safelight::http {

/// What who asks may know of a job that there is not, or that is another's.
Error no_such_job(std::string_view id);

/// What is known of the job, when the caller may see it; without asking the store while the job is
/// unfinished. Errors: kNotFound, those of the store.
Awaitable<Result<jobs::LiveJob>> find_live(Exchange& exchange, api::Backend& backend,
                                           std::string id);

/// The job, when the caller may see it. Blocks. Errors: kNotFound, those of the store.
Result<jobs::Job> find_visible(api::Backend& backend, const api::Principal& principal,
                               const std::string& id);

/// A query parameter that is there and not "false" or "0".
bool flag_query(const Exchange& exchange, std::string_view name);
/// A whole number in a query parameter. Errors: kInvalidArgument.
Result<int64_t> number_query(const Exchange& exchange, std::string_view name, int64_t fallback,
                             int64_t minimum, int64_t maximum);

}  // namespace safelight::http
