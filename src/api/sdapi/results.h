#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/job.h"

namespace safelight::api::sdapi {

/// SD WebUI's job_timestamp: "20260131235959", in local time; empty for 0.
std::string timestamp(jobs::Time time);

/// What an ended job means to a client that waits for it: success also where it was interrupted.
/// Errors: that of the job; kCancelled, kUnavailable.
Status outcome_of(const jobs::Job& job);

/// SD WebUI's "info" of a generation, as an object.
boost::json::object info_of(const jobs::Job& job, const std::string& version);

/// The answer of txt2img: {"images", "parameters", "info", "job_id"}. `pictures` are encoded files;
/// empty when they are not to be sent. `asked` is the client's body.
boost::json::object txt2img_answer(const jobs::Job& job, const std::vector<std::string>& pictures,
                                   const boost::json::object& asked, const std::string& version);

/// SD.Next's "history" of jobs, newest first: what began, what ended, with its files.
boost::json::array history(const std::vector<jobs::Job>& jobs);

}  // namespace safelight::api::sdapi
