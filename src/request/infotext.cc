#include "request/infotext.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <iterator>
#include <optional>

#include "base/json.h"
#include "base/text.h"

namespace safelight::request {
namespace {

constexpr std::string_view kNegative = "Negative prompt:";
constexpr std::string_view kExactKey = "Safelight request";

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Keys in SD WebUI's order (processing.py, create_infotext; then its extra parameters and ours).
/// Each is the infotext key of a field or one that value_of() computes.
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
                                       "RNG",
                                       "Emphasis",
                                       "Prompt syntax",
                                       "Wildcards",
                                       "Token merging ratio",
                                       "Deep cache interval",
                                       "Deep cache depth",
                                       "Eta",
                                       "Sigma churn",
                                       "Sigma tmin",
                                       "Sigma tmax",
                                       "Sigma noise",
                                       "CFG rescale",
                                       "Guidance start",
                                       "Guidance end"};

/// Keys that are written even where the value is the default. SD WebUI leaves RNG out for its own
/// default, the GPU's generator, which is not ours.
constexpr std::string_view kAlways[] = {"Steps",     "Sampler", "Schedule type",
                                        "CFG scale", "Seed",    "RNG"};

/// Keys that other versions and programs write for the same.
struct OtherKey {
  std::string_view key, ours;
};
constexpr OtherKey kOtherKeys[] = {
    {"Scheduler", "Schedule type"},  // SD.Next
    {"CLiP-skip", "Clip skip"},      // SD.Next
    {"CFG end", "Guidance end"},     // SD.Next
    {"Eta DDIM", "Eta"},             // SD WebUI
    {"Parser", "Prompt syntax"},     // SD.Next
};

/// SD WebUI's spellings of values that we name otherwise; the first of a value is written. Its GPU
/// generator draws the numbers of `nv`.
struct Spelling {
  std::string_view field, ours, webui;
};
constexpr Spelling kSpellings[] = {
    {"noise_source", "cpu", "CPU"},          {"noise_source", "nv", "NV"},
    {"noise_source", "nv", "GPU"},           {"emphasis", "original", "Original"},
    {"emphasis", "no-norm", "No norm"},      {"emphasis", "ignore", "Ignore"},
    {"emphasis", "comfyui", "ComfyUI"},      {"wildcards", "on", "True"},
    {"wildcards", "off", "False"},           {"prompt_syntax", "webui", "webui"},
    {"prompt_syntax", "webui", "a1111"},     {"prompt_syntax", "webui", "native"},
    {"prompt_syntax", "comfyui", "comfyui"}, {"prompt_syntax", "fixed", "fixed"},
};

/// Ends of sampler names before SD WebUI 1.9 made the schedule a parameter of its own.
constexpr std::string_view kOldSchedules[] = {"Karras", "Exponential"};

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
  for (const OtherKey& other : kOtherKeys) {
    if (other.key == key) key = other.ours;
  }
  for (const Field& field : fields()) {
    if (!field.infotext.empty() && field.infotext == key) return &field;
  }
  return nullptr;
}

std::string to_spelling(const Field& field, const std::string& value) {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.field == field.key && spelling.ours == value) return std::string(spelling.webui);
  }
  return value;
}

std::string text_of(const Request& request, const Field& field) {
  if (const auto* text = std::get_if<std::string Request::*>(&field.member)) {
    return to_spelling(field, request.**text);
  }
  if (const auto* whole = std::get_if<int64_t Request::*>(&field.member))
    return fmt::format("{}", request.**whole);
  if (const auto* real = std::get_if<double Request::*>(&field.member))
    return fmt::format("{}", request.**real);
  if (std::holds_alternative<Texts Request::*>(field.member)) return "";
  const auto& maybe = request.*std::get<std::optional<double> Request::*>(field.member);
  return maybe ? fmt::format("{}", *maybe) : "";
}

bool always_written(std::string_view key) {
  return std::find(std::begin(kAlways), std::end(kAlways), key) != std::end(kAlways);
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
  const auto add_line = [&](const std::string& line) { text += (text.empty() ? "" : "\n") + line; };
  if (!request.negative_prompt.empty()) {
    add_line(fmt::format("{} {}", kNegative, request.negative_prompt));
  }
  add_line(parameters);
  return text;
}

/// "key: value" pairs of a parameter line: keys are words, values run to the next comma or are JSON
/// strings.
Pairs split_parameters(std::string_view line) {
  Pairs pairs;
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
  if (const Field* field = field_of_infotext(key)) {
    const std::optional<std::string> ours = choice_from_webui(*field, value);
    if (ours && set_text(request, *field, *ours)) return;
  }
  parsed.rest.emplace_back(key, value);
}

/// "DPM++ 2M Karras" of old texts is the sampler "DPM++ 2M" with the schedule "Karras".
void split_old_sampler(Request& request) {
  for (const std::string_view schedule : kOldSchedules) {
    const std::string end = fmt::format(" {}", schedule);
    if (!request.sampler.ends_with(end)) continue;
    request.sampler.resize(request.sampler.size() - end.size());
    request.schedule = schedule;
    return;
  }
}

void apply_parameters(ParsedInfotext& parsed, const Pairs& pairs) {
  const auto has = [&](std::string_view key) {
    return std::any_of(pairs.begin(), pairs.end(),
                       [&](const auto& pair) { return pair.first == key; });
  };
  if (has("Steps") && !has("RNG")) parsed.request.noise_source = "nv";  // see kAlways
  for (const auto& [key, value] : pairs) apply_parameter(parsed, key, value);
  if (!has("Schedule type") && !has("Scheduler")) split_old_sampler(parsed.request);
}

/// The lines before the parameters: the prompt and, from a line that begins so, the negative one.
void apply_prompts(Request& request, std::string_view lines) {
  std::string* into = &request.prompt;
  bool first = true;  // line of the prompt that is being read
  if (lines.empty()) return;
  while (true) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    if (line.starts_with(kNegative)) {
      first = into == &request.prompt;
      into = &request.negative_prompt;
      line = trimmed(line.substr(kNegative.size()));
    }
    if (!first) *into += '\n';
    *into += line;
    first = false;
    if (end == lines.size()) return;
    lines.remove_prefix(end + 1);
  }
}

ParsedInfotext read(std::string_view text) {
  ParsedInfotext parsed;
  const std::string_view body = trimmed(text);
  const size_t last_break = body.rfind('\n');
  const bool one_line = last_break == std::string_view::npos;
  const Pairs pairs = split_parameters(one_line ? body : body.substr(last_break + 1));
  constexpr size_t kFewestParameters = 3;  // SD WebUI's rule: fewer are a line of the prompt
  if (pairs.size() < kFewestParameters) {
    apply_prompts(parsed.request, body);
    return parsed;
  }
  if (!one_line) apply_prompts(parsed.request, body.substr(0, last_break));
  apply_parameters(parsed, pairs);
  return parsed;
}

}  // namespace

std::optional<std::string> choice_from_webui(const Field& field, const std::string& value) {
  if (field.choices.empty()) return value;
  const std::string lower = ascii_lower(value);
  for (const Spelling& spelling : kSpellings) {
    if (spelling.field == field.key && ascii_lower(spelling.webui) == lower) {
      return std::string(spelling.ours);
    }
  }
  return std::nullopt;
}

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
