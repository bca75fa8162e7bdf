#include "request/infotext.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/json.h"
#include "base/text.h"

namespace safelight::request {
namespace {

constexpr std::string_view kNegative = "Negative prompt:";
constexpr std::string_view kExactKey = "Safelight request";

/// Keys of SD WebUI's order; each is the infotext key of a field or one of the computed ones.
constexpr std::string_view kOrder[] = {"Steps",
                                       "Sampler",
                                       "Schedule type",
                                       "CFG scale",
                                       "Seed",
                                       "Size",
                                       "Model hash",
                                       "Model",
                                       "Variation seed",
                                       "Variation seed strength",
                                       "Seed resize from",
                                       "Clip skip",
                                       "ENSD",
                                       "Eta",
                                       "Emphasis",
                                       "RNG",
                                       "Sigma churn",
                                       "Sigma tmin",
                                       "Sigma tmax",
                                       "Sigma noise",
                                       "CFG rescale",
                                       "Guidance start",
                                       "Guidance end"};

/// Values that would break the list are written as JSON strings, as SD WebUI does.
std::string quoted(const std::string& value) {
  if (value.find_first_of(",:\n\"") == std::string::npos) return value;
  return boost::json::serialize(boost::json::value(value));
}

std::string unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    const Result<boost::json::value> parsed = parse_json(value);
    if (parsed && parsed->is_string()) return std::string(parsed->get_string());
  }
  return std::string(value);
}

const Field* field_of_infotext(std::string_view key) {
  for (const Field& field : fields()) {
    if (!field.infotext.empty() && field.infotext == key) return &field;
  }
  return nullptr;
}

/// SD WebUI's spellings of values that we name in lower case.
std::string infotext_value(const Field& field, const std::string& value) {
  if (field.key == "noise_source") return value == "nv" ? "NV" : "CPU";
  if (field.key == "emphasis")
    return value == "no-norm" ? "No norm" : value == "ignore" ? "Ignore" : "Original";
  return value;
}

std::string value_from_infotext(const Field& field, const std::string& value) {
  if (field.key != "noise_source" && field.key != "emphasis") return value;
  std::string lower = ascii_lower(value);
  if (lower == "no norm") lower = "no-norm";
  return lower == "none" ? "ignore" : lower;
}

std::string text_of(const Request& request, const Field& field) {
  if (const auto* text = std::get_if<std::string Request::*>(&field.member)) {
    return infotext_value(field, request.**text);
  }
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member))
    return fmt::format("{}", request.**whole);
  if (const auto* real = std::get_if<double Request::*>(&field.member))
    return fmt::format("{}", request.**real);
  const auto& maybe = request.*std::get<std::optional<double> Request::*>(field.member);
  return maybe ? fmt::format("{}", *maybe) : "";
}

/// SD WebUI writes its first parameters always, the others when they are not the default.
bool always_written(std::string_view key) {
  return key == "Steps" || key == "Sampler" || key == "Schedule type" || key == "CFG scale" ||
         key == "Seed";
}

std::string value_of(const Request& request, std::string_view key, const std::string& model_hash) {
  if (key == "Size")
    return request.width ? fmt::format("{}x{}", request.width, request.height) : "";
  if (key == "Model hash") return model_hash;
  if (key == "Seed resize from") {
    return request.seed_resize_from_w > 0
               ? fmt::format("{}x{}", request.seed_resize_from_w, request.seed_resize_from_h)
               : "";
  }
  const Field* field = field_of_infotext(key);
  const std::string value = text_of(request, *field);
  return always_written(key) || value != text_of(Request{}, *field) ? value : "";
}

std::string write(const Request& request, const std::string& model_hash, const std::string& version,
                  const ExtraParameters& extra) {
  std::string parameters;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty())
      parameters += fmt::format("{}{}: {}", parameters.empty() ? "" : ", ", key, quoted(value));
  };
  for (const std::string_view key : kOrder) add(key, value_of(request, key, model_hash));
  for (const auto& [key, value] : extra) add(key, value);
  add("Version", version);
  std::string text = request.prompt;
  if (!request.negative_prompt.empty())
    text += fmt::format("\n{} {}", kNegative, request.negative_prompt);
  return text + "\n" + parameters;
}

/// "key: value" pairs of a parameter line: keys are words, values run to the next comma or are JSON
/// strings.
std::vector<std::pair<std::string, std::string>> split_parameters(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!line.empty()) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) break;
    // The key is what stands behind the last comma before the colon.
    const size_t comma = line.substr(0, colon).rfind(',');
    const std::string_view key =
        trimmed(comma == std::string_view::npos ? line.substr(0, colon)
                                                : line.substr(comma + 1, colon - comma - 1));
    line.remove_prefix(colon + 1);
    while (line.starts_with(' ')) line.remove_prefix(1);
    size_t end = std::min(line.find(','), line.size());
    if (line.starts_with('"')) {
      size_t close = 1;
      while (close < line.size() && line[close] != '"') close += line[close] == '\\' ? 2 : 1;
      if (close < line.size()) end = close + 1;
    }
    if (!key.empty()) pairs.emplace_back(key, unquoted(trimmed(line.substr(0, end))));
    line.remove_prefix(std::min(end, line.size()));
    if (line.starts_with(',')) line.remove_prefix(1);
  }
  return pairs;
}

/// "512x768" into two numbers.
bool parse_size(std::string_view text, int64_t& width, int64_t& height) {
  const size_t x = text.find('x');
  if (x == std::string_view::npos) return false;
  int64_t w = 0, h = 0;
  const auto first = std::from_chars(text.data(), text.data() + x, w);
  const auto second = std::from_chars(text.data() + x + 1, text.data() + text.size(), h);
  if (first.ec != std::errc() || first.ptr != text.data() + x) return false;
  if (second.ec != std::errc() || second.ptr != text.data() + text.size() || w <= 0 || h <= 0)
    return false;
  width = w;
  height = h;
  return true;
}

void apply_parameter(ParsedInfotext& parsed, const std::string& key, const std::string& value) {
  Request& request = parsed.request;
  if (key == "Size" && parse_size(value, request.width, request.height)) return;
  if (key == "Seed resize from" &&
      parse_size(value, request.seed_resize_from_w, request.seed_resize_from_h))
    return;
  const Field* field =
      field_of_infotext(key == "Scheduler" ? "Schedule type" : key);  // SD.Next's spelling
  if (field && set_text(request, *field, value_from_infotext(*field, value))) return;
  parsed.rest.emplace_back(key, value);
}

ParsedInfotext read(std::string_view text) {
  ParsedInfotext parsed;
  const std::string_view body = trimmed(text);
  const size_t last_break = body.rfind('\n');
  std::string_view last = last_break == std::string_view::npos ? body : body.substr(last_break + 1);
  auto pairs = split_parameters(last);
  std::string_view head =
      last_break == std::string_view::npos ? std::string_view() : body.substr(0, last_break);
  if (pairs.size() < 3) {  // SD WebUI's rule: fewer are no parameter line
    pairs.clear();
    head = body;
  }
  std::string* into = &parsed.request.prompt;
  bool first = true;
  for (size_t at = 0; at <= head.size() && !head.empty();) {
    const size_t end = std::min(head.find('\n', at), head.size());
    std::string_view line = head.substr(at, end - at);
    if (line.starts_with(kNegative)) {
      into = &parsed.request.negative_prompt;
      line = trimmed(line.substr(kNegative.size()));
      first = true;
    }
    if (!first) *into += '\n';
    *into += line;
    first = false;
    at = end + 1;
  }
  for (const auto& [key, value] : pairs) apply_parameter(parsed, key, value);
  return parsed;
}

}  // namespace

std::string to_infotext(const Request& request, const std::string& model_hash,
                        const std::string& version, const ExtraParameters& extra) {
  const std::string text = write(request, model_hash, version, extra);
  if (read(text).request == request) return text;
  const std::string exact = boost::json::serialize(to_json(request));
  return text +
         fmt::format(", {}: {}", kExactKey, boost::json::serialize(boost::json::value(exact)));
}

ParsedInfotext parse_infotext(std::string_view text) {
  ParsedInfotext parsed = read(text);
  for (auto entry = parsed.rest.begin(); entry != parsed.rest.end(); ++entry) {
    if (entry->first != kExactKey) continue;
    if (const Result<boost::json::value> exact = parse_json(entry->second)) {
      if (Result<Request> request = from_json(*exact)) {
        parsed.request = std::move(*request);
        parsed.rest.erase(entry);
      }
    }
    break;
  }
  return parsed;
}

}  // namespace safelight::request
