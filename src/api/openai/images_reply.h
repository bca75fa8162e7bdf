#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/backend.h"
#include "api/openai/images_body.h"
#include "jobs/job.h"

namespace safelight::api::openai {

/// "invalid_request_error" and the like: by what OpenAI's clients tell errors apart, beside the
/// status.
std::string_view error_type(ErrorCode code);

/// An error as OpenAI's clients read it.
struct ApiError {
  int status = 500;
  std::string message, type, code, param;
  bool retry = true;  ///< false: "x-should-retry: false", the same will happen again

  boost::json::object json() const;  ///< {"error": {...}}
};

/// Of an error before a job was accepted; `param` is the wrong field.
ApiError api_error(const Error& error, std::string_view param = {});
/// Of a job that did not succeed.
ApiError api_error(const jobs::Job& job);

/// A picture of an answer: one of both is given.
struct PictureText {
  std::string b64_json, url;
};

/// The answer of a finished job, its pictures in their order.
boost::json::object images_json(const ImagesBody& body, const jobs::Job& job,
                                const std::vector<PictureText>& pictures);

/// Server-sent events, whole: "event: image_generation.partial_image\ndata: {...}\n\n".
std::string partial_image_event(const ImagesBody& body, int64_t index, std::string_view jpeg);
std::string completed_event(const ImagesBody& body, const jobs::Job& job,
                            const jobs::ResultFile& file, const PictureText& picture);
std::string error_event(const ApiError& error);

boost::json::object model_json(std::string_view id, int64_t created);

}  // namespace safelight::api::openai
