#include "api/sdapi/png_info.h"

#include <fmt/format.h>

#include <optional>

#include "base/base64.h"
#include "image/metadata.h"
#include "request/foreign_metadata.h"
#include "request/infotext.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

/// Under the names of the generation text, as texts; sizes as SD WebUI takes them apart.
json::object parameters_of(const std::string& text) {
  if (text.empty()) return {};
  const request::ParsedInfotext parsed = request::parse_infotext(text);
  const request::Request& request = parsed.request;
  json::object parameters{{"Prompt", request.prompt}, {"Negative prompt", request.negative_prompt}};
  const json::object fields = request::to_json(request);
  for (const request::Field& field : request::fields()) {
    const json::value* value = fields.if_contains(field.key);
    if (field.infotext.empty()) continue;
    if (value == nullptr) {
      const std::string initial = request::default_text(field);
      if (!initial.empty()) parameters[field.infotext] = initial;
    } else if (value->is_string()) {
      parameters[field.infotext] = *value;
    } else if (value->is_number()) {
      parameters[field.infotext] = fmt::format("{}", value->to_number<double>());
    }
  }
  if (request.width > 0) {
    parameters["Size-1"] = fmt::format("{}", request.width);
    parameters["Size-2"] = fmt::format("{}", request.height);
  }
  for (const auto& [key, value] : parsed.rest) parameters[key] = value;
  return parameters;
}

}  // namespace

Result<json::object> png_info(std::string_view image) {
  if (image.starts_with("data:")) {
    const size_t comma = image.find(',');
    image.remove_prefix(comma == std::string_view::npos ? image.size() : comma + 1);
  }
  const std::optional<std::string> file = base64_decode(image);
  if (!file || file->empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "image must be a PNG, JPEG or WebP file in base64, or a data URL with one"};
  }
  const Bytes bytes = std::as_bytes(std::span(file->data(), file->size()));
  Result<std::optional<std::string>> text = image::read_parameters(bytes);
  if (!text) return text.error().in("image");
  json::object items;
  if (*text) {
    items["parameters"] = **text;
  } else {
    const request::PictureTexts texts = image::read_texts(bytes, request::kForeignKeys);
    for (const auto& [key, value] : texts) items[key] = value;
    text = request::foreign_infotext(texts);
  }
  const std::string info = text->value_or("");
  return json::object{
      {"info", info}, {"items", std::move(items)}, {"parameters", parameters_of(info)}};
}

}  // namespace safelight::api::sdapi
