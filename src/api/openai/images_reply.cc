#include "api/openai/images_reply.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.h"

namespace safelight::api::openai {
namespace {

namespace json = boost::json;

}  // namespace

std::string_view error_type(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnauthenticated:
      return "authentication_error";
    case ErrorCode::kForbidden:
      return "permission_error";
    case ErrorCode::kBusy:
      return "rate_limit_error";
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
    case ErrorCode::kUnsupported:
    case ErrorCode::kConflict:
    case ErrorCode::kRefused:
      return "invalid_request_error";
    default:
      return "server_error";
  }
}

namespace {

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object no_usage() {
  return {{"input_tokens", 0},
          {"input_tokens_details", {{"image_tokens", 0}, {"text_tokens", 0}}},
          {"output_tokens", 0},
          {"total_tokens", 0}};
}

std::string size_text(int64_t width, int64_t height) {
  return width > 0 && height > 0 ? fmt::format("{}x{}", width, height) : "auto";
}

std::string event(std::string_view type, const json::object& data) {
  return fmt::format("event: {}\ndata: {}\n\n", type, json::serialize(data));
}

}  // namespace

json::object ApiError::json() const {
  return {
      {"error",
       {{"message", message}, {"type", type}, {"param", or_null(param)}, {"code", or_null(code)}}}};
}

ApiError api_error(const Error& error, std::string_view param) {
  ApiError answer{.status = error_info(error.code).http_status,
                  .message = error.message,
                  .type = std::string(error_type(error.code)),
                  .code = error_info(error.code).name,
                  .param = std::string(param)};
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      answer.code = "invalid_value";
      break;
    case ErrorCode::kRefused:
      answer.code = "moderation_blocked";
      answer.retry = false;
      break;
    case ErrorCode::kNotFound:
      answer.retry = false;
      break;
    default:
      break;
  }
  return answer;
}

ApiError api_error(const jobs::Job& job) {
  const std::string job_text = fmt::format(" (job {})", job.id);
  const auto told = [&](std::string_view otherwise) {
    return (job.error ? job.error->message : std::string(otherwise)) + job_text;
  };
  ApiError answer;
  switch (job.state) {
    case jobs::State::kRefused:
      answer = api_error(Error{ErrorCode::kRefused, told("The server's policy forbids it.")});
      break;
    case jobs::State::kCancelled:
      answer = api_error(Error{ErrorCode::kCancelled, told("The job was cancelled.")});
      break;
    case jobs::State::kExpired:
      answer = api_error(Error{ErrorCode::kUnavailable, told("The job's deadline passed.")});
      answer.code = "expired";
      break;
    default:
      answer = api_error(
          Error{job.error ? job.error->code : ErrorCode::kInternal, told("The job failed.")});
  }
  // It was tried as often as makes sense.
  answer.retry = false;
  return answer;
}

json::object images_json(const ImagesBody& body, const jobs::Job& job,
                         const std::vector<PictureText>& pictures) {
  json::array data;
  for (size_t i = 0; i < pictures.size(); ++i) {
    json::object item;
    if (!pictures[i].b64_json.empty()) item["b64_json"] = pictures[i].b64_json;
    if (!pictures[i].url.empty()) item["url"] = pictures[i].url;
    if (i < job.results.size()) item["seed"] = job.results[i].seed;
    data.push_back(std::move(item));
  }
  json::object own{{"job", job.id}};
  if (!body.notes.empty()) own["notes"] = json::array(body.notes.begin(), body.notes.end());
  const jobs::ResultFile first = job.results.empty() ? jobs::ResultFile{} : job.results.front();
  return {{"created", job.finished / 1000},
          {"data", std::move(data)},
          {"background", "opaque"},
          {"output_format", job.asked.delivery.format},
          {"quality", body.quality},
          {"size", size_text(first.width, first.height)},
          {"usage", no_usage()},
          {"safelight", std::move(own)}};
}

std::string partial_image_event(const ImagesBody& body, int64_t index, std::string_view jpeg) {
  const request::Request& request = body.submission.request;
  return event("image_generation.partial_image",
               {{"type", "image_generation.partial_image"},
                {"b64_json", base64_encode(jpeg)},
                {"created_at", jobs::now() / 1000},
                {"size", size_text(request.width, request.height)},
                {"quality", body.quality},
                {"background", "opaque"},
                {"output_format", "jpeg"},
                {"partial_image_index", index}});
}

std::string completed_event(const ImagesBody& body, const jobs::Job& job,
                            const jobs::ResultFile& file, const PictureText& picture) {
  json::object data{{"type", "image_generation.completed"},
                    {"created_at", job.finished / 1000},
                    {"size", size_text(file.width, file.height)},
                    {"quality", body.quality},
                    {"background", "opaque"},
                    {"output_format", job.asked.delivery.format},
                    {"usage", no_usage()},
                    {"seed", file.seed},
                    {"safelight", {{"job", job.id}}}};
  if (!picture.b64_json.empty()) data["b64_json"] = picture.b64_json;
  if (!picture.url.empty()) data["url"] = picture.url;
  return event("image_generation.completed", data);
}

std::string error_event(const ApiError& error) {
  json::object data = error.json();
  data["type"] = "error";
  return event("error", data);
}

json::object model_json(std::string_view id, int64_t created) {
  return {{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", "safelight"}};
}

}  // namespace safelight::api::openai
