#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <string>

#include "app/verbs/verbs.h"
#include "base/file.h"
#include "image/metadata.h"
#include "request/foreign_metadata.h"
#include "request/infotext.h"

namespace safelight::app {
namespace {

namespace json = boost::json;

struct Options {
  std::string picture;
  bool text = false;
  bool json = false;
  bool request = false;
};

json::object report(const std::string& text) {
  const request::ParsedInfotext parsed = request::parse_infotext(text);
  json::object rest;
  for (const auto& [key, value] : parsed.rest) rest[key] = value;
  return {{"text", text}, {"request", request::to_json(parsed.request)}, {"parameters", rest}};
}

Status run(const Options& options) {
  const auto file = MappedFile::open(options.picture);
  if (!file) return file.error();
  Result<std::optional<std::string>> text = image::read_parameters((*file)->bytes());
  if (!text) return text.error().in(options.picture);
  if (!text->has_value())
    text = request::foreign_infotext(image::read_texts((*file)->bytes(), request::kForeignKeys));
  if (!text->has_value()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: holds no generation parameters", options.picture)};
  }
  if (options.json) return print_out(json::serialize(report(**text)) + "\n");
  if (options.request) {
    const request::Request request = request::parse_infotext(**text).request;
    return print_out(json::serialize(request::to_json(request, true)) + "\n");
  }
  return print_out(**text + "\n");
}

}  // namespace

Verb add_read_info(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      root.add_subcommand("read-info", "Print the generation parameters inside a picture");
  command->add_option("PICTURE", options->picture, "A PNG, JPEG or WebP file")
      ->required()
      ->type_name("FILE");
  CLI::Option* text =
      command->add_flag("--text", options->text, "As the text itself (the default)");
  CLI::Option* as_json =
      command->add_flag("--json", options->json, "As JSON: text, request and further parameters");
  CLI::Option* request = command->add_flag(
      "--request", options->request,
      "As a request that makes the same picture again: safelight generate --request -");
  text->excludes(as_json)->excludes(request);
  as_json->excludes(request);
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
