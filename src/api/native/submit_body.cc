#include "api/native/submit_body.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <set>

#include "request/lora_list.h"

namespace safelight::api::native {
namespace {

namespace json = boost::json;
using Type = BodyField::Type;

constexpr double kMonth = 30.0 * 24 * 3600;
constexpr size_t kMaxWarnings = 20;  // of a body full of unknown names the first say enough

// clang-format off
constexpr std::array kDeliveryFields = {
    BodyField{"format", Type::kText, 0, 16, "png jpeg webp", "\"png\"", "file format of the pictures"},
    BodyField{"quality", Type::kWhole, 1, 100, "", "90", "quality of JPEG and WebP; WebP at 100 is lossless"},
    BodyField{"metadata", Type::kFlag, 0, 0, "", "true", "write the generation text into the files"},
    BodyField{"save", Type::kFlag, 0, 0, "", "false", "also save into the server's output folder"},
    BodyField{"pattern", Type::kText, 0, 255, "", "\"\"", "file name pattern for save; empty is the server's"},
    BodyField{"previews", Type::kFlag, 0, 0, "", "false", "draw previews from the start, watched or not"},
};
constexpr std::array kJobFields = {
    BodyField{"delivery", Type::kObject, 0, 0, "", "", "how the pictures are kept"},
    BodyField{"loras", Type::kList, 0, 0, "", "",
              "LoRAs, as tags at the prompt's end would ask for them: [{\"name\": \"x\", \"weight\": 0.8}], or "
              "\"unet\" and \"text_encoder\" for \"weight\""},
    BodyField{"priority", Type::kWhole, -100, 100, "", "0",
              "higher first among the jobs of one owner; above 0 for admins"},
    BodyField{"deadline", Type::kNumber, 0, kMonth, "", "0",
              "seconds from now; a job not finished by then is expired; 0 is none"},
    BodyField{"timeout", Type::kNumber, 0, kMonth, "", "0",
              "seconds that one attempt may run; 0 is the server's limit"},
    BodyField{"idempotency_key", Type::kText, 0, 255, "", "\"\"",
              "the same key is the same job, however often it is sent; also as the header Idempotency-Key"},
};
// clang-format on

/// Reads jobs into a body.
class Reader {
 public:
  explicit Reader(SubmitBody& body) : body_(body) {}

  std::optional<FieldError> read_job(const json::object& job, const std::string& path) {
    Submission submission;
    submission.source = "native";
    std::set<const request::Field*> seen;
    for (const auto& [key, value] : job) {
      const request::Field* field = request::find_field(key);
      if (field == nullptr) continue;
      if (!seen.insert(field).second) return twice(*field, path);
      if (auto wrong = set_checked(submission.request, *field, key, value, path)) return wrong;
    }
    if (auto wrong = check_members(job, kJobFields, path, true)) return wrong;
    if (const json::value* loras = job.if_contains("loras")) {
      const auto tags = request::tags_of_loras(*loras);
      if (!tags) return FieldError{tags.error(), path + "loras", {}};
      submission.request.prompt += *tags;
    }
    if (const Status good = request::validate(submission.request); !good) {
      // Each field alone is good, so it is how they stand to each other.
      return FieldError{{good.error().code, path + good.error().message}, path, {}};
    }
    if (auto wrong = read_delivery(job, path, submission.delivery)) return wrong;
    submission.priority = static_cast<int>(number_member(job, "priority"));
    submission.deadline_ms = static_cast<int64_t>(1000 * number_member(job, "deadline"));
    submission.timeout_ms = static_cast<int64_t>(1000 * number_member(job, "timeout"));
    submission.idempotency_key = text_member(job, "idempotency_key");
    body_.submissions.push_back(std::move(submission));
    return {};
  }

  void warn(std::string_view key, const std::string& path, std::span<const BodyField> fields,
            bool request_fields) {
    if (body_.warnings.size() >= kMaxWarnings) return;
    body_.warnings.push_back(unknown_field_warning(key, path, fields, request_fields));
  }

 private:
  static FieldError twice(const request::Field& field, const std::string& path) {
    return {{ErrorCode::kInvalidArgument,
             fmt::format("{}{} is given under two of its names; leave one out", path, field.key)},
            path + std::string(field.key),
            {}};
  }

  /// `request_fields`: the object has those too, which are read elsewhere.
  std::optional<FieldError> check_members(const json::object& object,
                                          std::span<const BodyField> fields,
                                          const std::string& path, bool request_fields) {
    for (const auto& [key, value] : object) {
      if (request_fields && request::find_field(key) != nullptr) continue;
      if (const BodyField* field = find_field(fields, key)) {
        if (auto wrong = check_value(*field, value, path)) return wrong;
      } else {
        warn(key, path, fields, request_fields);
      }
    }
    return {};
  }

  std::optional<FieldError> read_delivery(const json::object& job, const std::string& path,
                                          jobs::Delivery& delivery) {
    const json::value* given = job.if_contains("delivery");
    if (given == nullptr || given->is_null()) return {};
    const json::object& object = given->get_object();
    if (auto wrong = check_members(object, kDeliveryFields, path + "delivery.", false)) {
      return wrong;
    }
    delivery.format = text_member(object, "format", delivery.format);
    delivery.quality = static_cast<int>(number_member(object, "quality", delivery.quality));
    delivery.metadata = flag_member(object, "metadata", delivery.metadata);
    delivery.save = flag_member(object, "save", delivery.save);
    delivery.pattern = text_member(object, "pattern", delivery.pattern);
    delivery.previews = flag_member(object, "previews", delivery.previews);
    return {};
  }

  SubmitBody& body_;
};

FieldError wrong_body(std::string message, std::string field = {}) {
  return {{ErrorCode::kInvalidArgument, std::move(message)}, std::move(field), {}};
}

}  // namespace

std::span<const BodyField> job_fields() { return kJobFields; }
std::span<const BodyField> delivery_fields() { return kDeliveryFields; }

std::optional<FieldError> read_submit_body(const json::value& json, SubmitBody& body) {
  if (!json.is_object()) return wrong_body("the body is no JSON object; a job is one");
  const json::object& object = json.get_object();
  Reader reader(body);
  const json::value* jobs = object.if_contains("jobs");
  if (jobs == nullptr) return reader.read_job(object, "");
  body.batch = true;
  if (!jobs->is_array()) return wrong_body("jobs is no array of jobs", "jobs");
  const json::array& list = jobs->get_array();
  if (list.empty() || list.size() > kMaxBatch) {
    return wrong_body(
        fmt::format("jobs holds {} jobs; 1 to {} are possible in one call", list.size(), kMaxBatch),
        "jobs");
  }
  for (const auto& [key, value] : object) {
    if (key != "jobs") reader.warn(key, "", {}, false);
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = fmt::format("jobs[{}]", i);
    if (!list[i].is_object()) return wrong_body(name + " is no JSON object; a job is one", name);
    if (auto wrong = reader.read_job(list[i].get_object(), name + ".")) return wrong;
  }
  return {};
}

}  // namespace safelight::api::native
