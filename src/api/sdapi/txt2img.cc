#include "api/sdapi/txt2img.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "request/infotext.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

constexpr size_t kMaxTaskId = 256;

/// The member's value; null where it is absent or null.
const json::value* given(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

Result<bool> flag(const json::object& body, std::string_view key, bool initial) {
  const json::value* value = given(body, key);
  if (value == nullptr) return initial;
  if (value->is_bool()) return value->get_bool();
  return Error{ErrorCode::kInvalidArgument, fmt::format("{} must be true or false", key)};
}

Result<json::object> object_of(const json::object& body, std::string_view key) {
  const json::value* value = given(body, key);
  if (value == nullptr) return json::object();
  if (value->is_object()) return value->get_object();
  return Error{ErrorCode::kInvalidArgument, fmt::format("{} must be a JSON object", key)};
}

void for_each_name(const request::Field& field, auto visit) {
  visit(field.key);
  std::string_view rest = field.aliases;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find(' '));
    visit(name);
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
  }
}

/// The request's fields in a body, by their own names; where one is there under several names the
/// first of the table counts.
json::object fields_of(const json::object& body) {
  json::object fields;
  for (const request::Field& field : request::fields()) {
    for_each_name(field, [&](std::string_view name) {
      const json::value* value = given(body, name);
      if (value == nullptr || fields.contains(field.key)) return;
      fields[field.key] = *value;
      if (field.choices.empty() || !value->is_string()) return;
      const auto ours = request::choice_from_webui(field, std::string(value->get_string()));
      if (ours) fields[field.key] = *ours;
    });
  }
  return fields;
}

/// SD WebUI's older way to name a sampler, by text or by its place in the list; SD.Next sends 0 for
/// its default.
Status apply_sampler_index(const json::object& body, const Catalog& catalog, json::object& fields) {
  const json::value* index = given(body, "sampler_index");
  if (index == nullptr || fields.contains("sampler")) return {};
  if (index->is_string()) {
    fields["sampler"] = *index;
    return {};
  }
  const std::vector<SamplerInfo> samplers = catalog.samplers();
  const double number = index->is_number() ? index->to_number<double>() : -1;
  if (number != std::floor(number) || number < 0 ||
      number >= static_cast<double>(samplers.size())) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("sampler_index must be a sampler's name or a number from 0 to {}",
                             samplers.size() - 1)};
  }
  if (number > 0) fields["sampler"] = samplers[static_cast<size_t>(number)].name;
  return {};
}

bool is_default_name(const json::value& value) {
  if (!value.is_string()) return false;
  const std::string lower = ascii_lower(trimmed(std::string_view(value.get_string())));
  return lower.empty() || lower == "default" || lower == "none";
}

/// SD.Next names the spread of noise levels in a field of its own, and not by SD WebUI's names.
void apply_sigma_method(const json::object& body, json::object& fields) {
  const json::value* method = given(body, "schedulers_sigma");
  if (method == nullptr || is_default_name(*method) || fields.contains("schedule")) return;
  fields["schedule"] =
      method->is_string() && method->get_string() == "betas" ? json::value("Beta") : *method;
}

bool is_sampler(const Catalog& catalog, std::string_view lower_name) {
  for (const SamplerInfo& sampler : catalog.samplers()) {
    if (ascii_lower(sampler.name) == lower_name) return true;
  }
  return false;
}

/// "DPM++ 2M Karras" is a sampler and, unless another is named, a schedule.
void split_sampler_name(const Catalog& catalog, request::Request& request) {
  const std::string name = ascii_lower(trimmed(request.sampler));
  if (is_sampler(catalog, name)) return;
  for (const ScheduleInfo& schedule : catalog.schedules()) {
    const std::string ending = " " + ascii_lower(schedule.name);
    if (!name.ends_with(ending)) continue;
    const std::string_view head = std::string_view(name).substr(0, name.size() - ending.size());
    if (!is_sampler(catalog, head)) continue;
    request.sampler = std::string(trimmed(request.sampler).substr(0, head.size()));
    if (ascii_lower(request.schedule) == "automatic") request.schedule = schedule.name;
    return;
  }
}

/// What these clients may say and a request may not.
void tidy(json::object& fields) {
  for (const std::string_view key : {"sampler", "schedule"}) {
    const json::value* value = fields.if_contains(key);
    if (value != nullptr && is_default_name(*value)) fields.erase(key);
  }
  // Without a limit, in SD WebUI's words.
  const json::value* tmax = fields.if_contains("s_tmax");
  if (tmax != nullptr && tmax->is_number() && tmax->to_number<double>() == 0) {
    fields.erase("s_tmax");
  }
}

void tidy(request::Request& request) {
  for (int64_t request::Request::*side : {&request::Request::width, &request::Request::height}) {
    request.*side -= request.*side % request::kSizeStep;
  }
  if (request.seed_resize_from_w <= 0 || request.seed_resize_from_h <= 0) {
    request.seed_resize_from_w = request.seed_resize_from_h = 0;
  }
}

Result<request::Request> read_request(const json::object& body, const json::object& settings,
                                      const Options& options, const Catalog& catalog) {
  json::object fields = fields_of(body);
  if (Status read = apply_sampler_index(body, catalog, fields); !read) return read.error();
  apply_sigma_method(body, fields);
  tidy(fields);
  const json::object own = Options::request_fields(settings);
  const json::object defaults = options.request_defaults();
  fields.insert(own.begin(), own.end());  // does not replace
  fields.insert(defaults.begin(), defaults.end());
  Result<request::Request> request = request::from_json(fields);
  if (!request) return request.error();
  tidy(*request);
  split_sampler_name(catalog, *request);
  return request;
}

/// A setting: from the request's own field, its override_settings, or the options.
json::value setting(const json::object& own, const json::object& settings, const Options& options,
                    std::string_view key) {
  if (const json::value* value = own.if_contains(key)) return *value;
  if (const json::value* value = settings.if_contains(key)) return *value;
  return options.get(key);
}

Result<jobs::Delivery> read_delivery(const json::object& body, const json::object& settings,
                                     const Options& options) {
  json::object named;
  for (const std::string_view key : {"samples_format", "jpeg_quality", "samples_save"}) {
    if (const json::value* value = given(body, key)) named[key] = *value;
  }
  // SD.Next's name for it.
  if (const json::value* value = given(body, "image_metadata")) named["enable_pnginfo"] = *value;
  const Result<json::object> own = Options::check(named);
  if (!own) return own.error();
  const Result<bool> save = flag(body, "save_images", false);
  if (!save) return save.error();
  const Result<bool> do_not_save = flag(body, "do_not_save_samples", false);
  if (!do_not_save) return do_not_save.error();
  const auto value = [&](std::string_view key) { return setting(*own, settings, options, key); };
  const std::string format(value("samples_format").as_string());
  return jobs::Delivery{
      .format = format == "jpg" ? "jpeg" : format,
      .quality = value("jpeg_quality").to_number<int>(),
      .metadata = value("enable_pnginfo").as_bool(),
      .save = *save && !*do_not_save && value("samples_save").as_bool(),
      .pattern = std::string(value("samples_filename_pattern").as_string()),
      .previews = value("live_previews_enable").as_bool(),
  };
}

Result<std::string> read_task_id(const json::object& body) {
  const json::value* id = given(body, "force_task_id");
  if (id == nullptr) return std::string();
  if (!id->is_string() || id->get_string().size() > kMaxTaskId) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("force_task_id must be a text of at most {} bytes", kMaxTaskId)};
  }
  return std::string(id->get_string());
}

/// SD.Next lets any attribute be set in "extra": as if it stood beside it.
Result<json::object> with_extra(const json::object& body) {
  const Result<json::object> extra = object_of(body, "extra");
  if (!extra) return extra.error();
  json::object all = body;
  for (const auto& [key, value] : *extra) {
    if (given(all, key) == nullptr) all[key] = value;
  }
  return all;
}

}  // namespace

Result<Txt2Img> read_txt2img(const json::value& value, const Options& options,
                             const Catalog& catalog) {
  if (!value.is_object()) {
    return Error{ErrorCode::kInvalidArgument, "the body of a request is a JSON object"};
  }
  const Result<json::object> body = with_extra(value.get_object());
  if (!body) return body.error();
  if (Status good = check_absent_features(*body); !good) return good.error();
  const Result<json::object> overrides = object_of(*body, "override_settings");
  if (!overrides) return overrides.error();
  Result<json::object> settings = Options::check(*overrides);
  if (!settings) return settings.error().in("override_settings");

  Txt2Img txt2img;
  txt2img.submission.source = "sdapi";
  Result<request::Request> request = read_request(*body, *settings, options, catalog);
  if (!request) return request.error();
  txt2img.submission.request = std::move(*request);
  Result<jobs::Delivery> delivery = read_delivery(*body, *settings, options);
  if (!delivery) return delivery.error();
  txt2img.submission.delivery = std::move(*delivery);
  Result<std::string> task = read_task_id(*body);
  if (!task) return task.error();
  txt2img.submission.client_id = std::move(*task);
  const Result<bool> send = flag(*body, "send_images", true);
  if (!send) return send.error();
  txt2img.send_images = *send;
  const Result<bool> restore = flag(*body, "override_settings_restore_afterwards", true);
  if (!restore) return restore.error();
  if (!*restore) txt2img.lasting = std::move(*settings);
  return txt2img;
}

}  // namespace safelight::api::sdapi
