#pragma once

#include <string>
#include <vector>

#include "api/backend.h"
#include "api/principal.h"
#include "jobs/job.h"

namespace safelight::api {

/// A generation as a client asks for it, read from one of the APIs.
struct Submission {
  request::Request request;
  jobs::Delivery delivery;
  std::string source;     ///< "sdapi", "openai", "native", "ui"
  std::string client_id;  ///< SD WebUI's force_task_id
  std::string idempotency_key;
  std::string traceparent;
  int priority = 0;         ///< above 0 for admins only
  int64_t deadline_ms = 0;  ///< from now; 0 for none
  int64_t timeout_ms = 0;   ///< of one attempt; 0 for the server's
};

/// The one way in: validates, makes every choice, checks the owner's quotas, and accepts all or
/// none, durably. Blocks. Errors: kInvalidArgument, kNotFound, kRefused (words that the policy
/// forbids), kBusy for a full queue or a used-up quota.
Result<std::vector<jobs::Accepted>> submit(Backend& backend, const Principal& principal,
                                           std::vector<Submission> submissions);

}  // namespace safelight::api
