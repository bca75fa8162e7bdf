#include "request/lora_list.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <string_view>

#include "base/text.h"

namespace safelight::request {
namespace {

namespace json = boost::json;

constexpr size_t kMaxLoras = 64;

Error bad(const std::string& what) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("loras {}; [{{\"name\": \"x\", \"weight\": 0.8}}] is an example", what)};
}

struct Lora {
  std::string_view name;
  double unet = 1, text_encoder = 1;
};

Result<Lora> read(const json::object& object) {
  Lora lora;
  for (const auto& [key, value] : object) {
    if (key == "name" && value.is_string()) {
      lora.name = value.get_string();
    } else if ((key == "weight" || key == "unet" || key == "text_encoder") && value.is_number()) {
      const auto number = value.to_number<double>();
      if (key != "text_encoder") lora.unet = number;
      if (key != "unet") lora.text_encoder = number;
    } else {
      return bad(
          fmt::format("has a member '{}' that is none of name, weight, unet and "
                      "text_encoder, or of another type",
                      utf8_prefix(std::string_view(key), 80)));
    }
  }
  if (object.contains("weight") && (object.contains("unet") || object.contains("text_encoder")))
    return bad("has 'weight' beside 'unet' or 'text_encoder'");
  return lora;
}

}  // namespace

Result<std::string> tags_of_loras(const json::value& list) {
  if (list.is_null()) return std::string();
  if (!list.is_array()) return bad("is no list");
  if (list.get_array().size() > kMaxLoras)
    return bad(fmt::format("has more than {} elements", kMaxLoras));
  std::string tags;
  for (const json::value& each : list.get_array()) {
    if (!each.is_string() && !each.is_object()) return bad("has an element that is no object");
    const auto lora =
        each.is_string() ? Result<Lora>(Lora{.name = each.get_string()}) : read(each.get_object());
    if (!lora) return lora.error();
    if (trimmed(lora->name).empty() || lora->name.find_first_of(":>=\n") != std::string_view::npos)
      return bad(
          fmt::format("has '{}' as a name; one without ':', '>', '=' and line breaks is "
                      "needed",
                      utf8_prefix(lora->name, 80)));
    tags += lora->unet == lora->text_encoder
                ? fmt::format("<lora:{}:{}>", lora->name, lora->unet)
                : fmt::format("<lora:{}:{}:{}>", lora->name, lora->text_encoder, lora->unet);
  }
  return tags;
}

}  // namespace safelight::request
