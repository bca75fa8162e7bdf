#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/body_field.h"
#include "api/submission.h"

namespace safelight::api::native {

constexpr size_t kMaxBatch = 1000;

/// What a client asked for with POST /api/v1/jobs.
struct SubmitBody {
  std::vector<Submission> submissions;
  bool batch = false;  ///< {"jobs": [...]}: the answer has the same form
  std::vector<std::string> warnings;
};

/// The fields of a job beside those of its request, and those of its "delivery".
std::span<const BodyField> job_fields();
std::span<const BodyField> delivery_fields();

/// Reads one job or a batch into `body`; the first thing that is wrong, if any.
std::optional<FieldError> read_submit_body(const boost::json::value& json, SubmitBody& body);

}  // namespace safelight::api::native
