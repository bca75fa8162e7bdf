#include "api/native/watch_message.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "api/body_field.h"
#include "base/json.h"

namespace safelight::api::native {
namespace {

namespace json = boost::json;
using Type = BodyField::Type;

constexpr size_t kMaxIdBytes = 64;
constexpr std::array kFields = {
    BodyField{"previews", Type::kFlag, 0, 0, "", "false", ""},
    BodyField{"preview_interval_ms", Type::kWhole, kMinPreviewInterval, 3'600'000, "", "500", ""},
};

Error bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Status read_jobs(const json::value& value, std::vector<std::string>& jobs) {
  if (value.is_array()) {
    if (value.get_array().size() > kMaxSubscriptions) {
      return bad(fmt::format("{} jobs are named; at most {} are possible on one socket",
                             value.get_array().size(), kMaxSubscriptions));
    }
    for (const json::value& each : value.get_array()) {
      if (!each.is_string()) return bad("a job is named by its id, a text");
      if (Status read = read_jobs(each, jobs); !read) return read;
    }
    return {};
  }
  if (!value.is_string() || value.get_string().empty() || value.get_string().size() > kMaxIdBytes) {
    return bad("a job's id, a list of them or \"*\" is needed");
  }
  jobs.emplace_back(value.get_string());
  return {};
}

}  // namespace

Result<WatchMessage> read_watch_message(std::string_view text) {
  if (text.size() > kMaxWatchMessage) {
    return bad(fmt::format("the message has {} bytes; at most {} are read", text.size(),
                           kMaxWatchMessage));
  }
  const auto parsed = parse_json(text, 4);
  if (!parsed) return parsed.error();
  if (!parsed->is_object()) return bad("a message is a JSON object such as {\"subscribe\": \"*\"}");
  const json::object& object = parsed->get_object();
  const json::value* subscribe = object.if_contains("subscribe");
  const json::value* unsubscribe = object.if_contains("unsubscribe");
  if ((subscribe == nullptr) == (unsubscribe == nullptr)) {
    return bad("a message has either \"subscribe\" or \"unsubscribe\"");
  }
  WatchMessage message;
  message.subscribe = subscribe != nullptr;
  if (Status read = read_jobs(subscribe != nullptr ? *subscribe : *unsubscribe, message.jobs);
      !read) {
    return read.error();
  }
  for (const BodyField& field : kFields) {
    const json::value* value = object.if_contains(field.key);
    if (value == nullptr) continue;
    if (const auto wrong = check_value(field, *value, "")) return wrong->error;
  }
  message.previews = flag_member(object, "previews");
  message.preview_interval_ms = static_cast<int64_t>(number_member(
      object, "preview_interval_ms", static_cast<double>(message.preview_interval_ms)));
  return message;
}

std::string watch_answer(std::string_view type, std::string_view job) {
  return json::serialize(json::object{{"type", type}, {"job", job}});
}

std::string watch_error(const Error& error, std::string_view job) {
  json::object object{
      {"type", "error"}, {"code", error_info(error.code).name}, {"message", error.message}};
  if (!job.empty()) object["job"] = job;
  return json::serialize(object);
}

}  // namespace safelight::api::native
