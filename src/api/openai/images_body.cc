#include "api/openai/images_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "base/text.h"

namespace safelight::api::openai {
namespace {

namespace json = boost::json;
using Type = BodyField::Type;

// clang-format off
constexpr std::array kFields = {
    BodyField{"n", Type::kWhole, 1, 10, "", "1", "pictures to make"},
    BodyField{"size", Type::kText, 0, 16, "", "\"auto\"",
              "\"auto\" for the model's own, or WIDTHxHEIGHT in multiples of 8"},
    BodyField{"quality", Type::kText, 0, 16, "auto low medium high standard hd", "\"auto\"",
              "low takes 12 steps, high and hd take 40, the others the default; \"steps\" goes before"},
    BodyField{"background", Type::kText, 0, 16, "auto opaque transparent", "\"auto\"",
              "pictures are opaque; transparent is noted and ignored"},
    BodyField{"style", Type::kText, 0, 16, "vivid natural", "", "noted and ignored"},
    BodyField{"moderation", Type::kText, 0, 16, "auto low", "\"auto\"",
              "a request cannot loosen the server's policy; noted and ignored"},
    BodyField{"output_format", Type::kText, 0, 16, "png jpeg webp", "\"png\"", "file format of the pictures"},
    BodyField{"output_compression", Type::kWhole, 0, 100, "", "100", "quality of JPEG and WebP"},
    BodyField{"response_format", Type::kText, 0, 16, "b64_json url", "",
              "url if the model's name is one of dall-e, else b64_json"},
    BodyField{"stream", Type::kFlag, 0, 0, "", "false", "answer with server-sent events"},
    BodyField{"partial_images", Type::kWhole, 0, 3, "", "0", "previews to send when streaming"},
    BodyField{"user", Type::kText, 0, 1024, "", "", "ignored"},
};
// clang-format on

constexpr int64_t kLowSteps = 12, kHighSteps = 40;

FieldError wrong(std::string message, std::string field) {
  return {{ErrorCode::kInvalidArgument, std::move(message)}, std::move(field), {}};
}

std::optional<std::pair<int64_t, int64_t>> parse_size(std::string_view text) {
  const size_t cross = text.find('x');
  if (cross == std::string_view::npos) return {};
  int64_t width = 0, height = 0;
  const char* end = text.data() + text.size();
  const char* middle = text.data() + cross;
  const auto [after_width, bad_width] = std::from_chars(text.data(), middle, width);
  const auto [after_height, bad_height] = std::from_chars(middle + 1, end, height);
  if (bad_width != std::errc() || bad_height != std::errc()) return {};
  if (after_width != middle || after_height != end) return {};
  return std::pair(width, height);
}

std::optional<FieldError> read_size(const json::object& object, request::Request& request) {
  const std::string text = text_member(object, "size", "auto");
  if (text == "auto") return {};
  const auto size = parse_size(text);
  if (!size || size->first <= 0 || size->second <= 0) {
    return wrong(fmt::format("size is '{}'; 'auto' or WIDTHxHEIGHT in pixels is needed, such as "
                             "512x512",
                             text),
                 "size");
  }
  std::tie(request.width, request.height) = *size;
  for (const char* side : {"width", "height"}) {
    if (const Status good = request::validate_field(request, *request::find_field(side)); !good) {
      return wrong(fmt::format("size is '{}': {}", text, good.error().message), "size");
    }
  }
  return {};
}

void read_quality(const json::object& object, ImagesBody& body) {
  const std::string quality = text_member(object, "quality", "auto");
  const bool high = quality == "high" || quality == "hd";
  if (quality == "low") body.quality = "low";
  if (high) body.quality = "high";
  if (object.contains("steps")) return;
  if (quality == "low") body.submission.request.steps = kLowSteps;
  if (high) body.submission.request.steps = kHighSteps;
}

void read_delivery(const json::object& object, ImagesBody& body) {
  jobs::Delivery& delivery = body.submission.delivery;
  delivery.format = text_member(object, "output_format", "png");
  // Encoders begin at 1; the API at 0.
  delivery.quality =
      std::max(1, static_cast<int>(number_member(object, "output_compression", 100)));
  body.stream = flag_member(object, "stream");
  body.partial_images = static_cast<int64_t>(number_member(object, "partial_images"));
  delivery.previews = body.stream && body.partial_images > 0;
}

void note_ignored(const json::object& object, std::vector<std::string>& notes) {
  const auto note = [&](std::string_view key, std::string_view value, std::string_view why) {
    const std::string given = text_member(object, key);
    if (given.empty() || (!value.empty() && given != value)) return;
    notes.push_back(fmt::format("{} '{}' was ignored: {}", key, given, why));
  };
  note("background", "transparent", "pictures are opaque");
  note("style", "", "the model knows no styles; describe it in the prompt");
  note("moderation", "low", "a request cannot loosen the server's policy");
}

/// Members of the body into the request, and their checks.
std::optional<FieldError> read_members(const json::object& object, ImagesBody& body) {
  std::set<const request::Field*> seen;
  for (const auto& [key, value] : object) {
    if (const BodyField* field = find_field(kFields, key)) {
      if (auto bad = check_value(*field, value, "")) return bad;
    } else if (const request::Field* own = request::find_field(key)) {
      if (!seen.insert(own).second) {
        return wrong(fmt::format("{} is given under two of its names; leave one out", own->key),
                     std::string(key));
      }
      if (auto bad = set_checked(body.submission.request, *own, key, value, "")) return bad;
    } else if (body.notes.size() < 20) {
      body.notes.push_back(unknown_field_warning(key, "", kFields, true));
    }
  }
  return {};
}

}  // namespace

std::span<const BodyField> images_fields() { return kFields; }

bool is_openai_model(std::string_view name) {
  const std::string lower = ascii_lower(name);
  for (const std::string_view family : {"gpt-image-", "chatgpt-image-", "dall-e-"}) {
    if (lower.starts_with(family)) return true;
  }
  return lower == "dall-e" || lower == "gpt-image";
}

std::optional<FieldError> read_images_body(const json::value& json, ImagesBody& body) {
  if (!json.is_object()) return wrong("the body is no JSON object", "");
  const json::object& object = json.get_object();
  const json::value* prompt = object.if_contains("prompt");
  if (prompt == nullptr || !prompt->is_string() || prompt->get_string().empty()) {
    return wrong("Missing required parameter: 'prompt', a text that is not empty.", "prompt");
  }
  body.submission.source = "openai";
  if (auto bad = read_members(object, body)) return bad;
  request::Request& request = body.submission.request;
  if (const json::value* n = object.if_contains("n"); n != nullptr && n->is_number()) {
    request.batch_count = static_cast<int64_t>(number_member(object, "n"));
  }
  if (auto bad = read_size(object, request)) return bad;
  read_quality(object, body);
  read_delivery(object, body);
  note_ignored(object, body.notes);
  if (const Status good = request::validate(request); !good) {
    // Each field alone is good, so it is how they stand to each other: the size's pixels mostly.
    const bool size = object.contains("size");
    return FieldError{good.error(), size ? "size" : "", {}};
  }
  const bool dalle = ascii_lower(request.model).starts_with("dall-e");
  body.urls = text_member(object, "response_format", dalle ? "url" : "b64_json") == "url";
  if (is_openai_model(request.model)) request.model.clear();
  return {};
}

}  // namespace safelight::api::openai
