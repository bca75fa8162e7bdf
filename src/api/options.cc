#include "api/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <stdexcept>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "request/filename.h"
#include "request/infotext.h"

namespace safelight::api {
namespace {

namespace json = boost::json;

constexpr size_t kMaxTextBytes = 4096;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 20;

Error bad_value(const OptionInfo& option, const json::value& got, const std::string& wanted) {
  std::string shown = json::serialize(got);
  if (shown.size() > 80) shown = std::string(utf8_prefix(shown, 80)) + "...";
  return {ErrorCode::kInvalidArgument, fmt::format("{} is {}; {}", option.key, shown, wanted)};
}

Result<json::value> check_number(const OptionInfo& option, const json::value& value) {
  if (!value.is_number()) return bad_value(option, value, "a number is needed");
  const double number = value.to_number<double>();
  const bool whole = option.type == OptionType::kInteger;
  if (whole && number != std::floor(number)) {
    return bad_value(option, value, "a whole number is needed");
  }
  // Also false for what is no number.
  if (!(number >= option.minimum && number <= option.maximum)) {
    return bad_value(option, value,
                     fmt::format("{} to {} is possible", option.minimum, option.maximum));
  }
  return whole ? json::value(static_cast<int64_t>(number)) : json::value(number);
}

Result<json::value> check_choice(const OptionInfo& option, const json::value& value) {
  const std::string wanted = ascii_lower(std::string_view(value.get_string()));
  std::string_view rest = option.choices;
  while (!rest.empty()) {
    const std::string_view choice = rest.substr(0, rest.find('|'));
    if (ascii_lower(choice) == wanted) return json::value(choice);
    rest.remove_prefix(std::min(choice.size() + 1, rest.size()));
  }
  std::string listed(option.choices);
  for (size_t at = 0; (at = listed.find('|', at)) != std::string::npos;) {
    listed.replace(at, 1, ", ");
  }
  return bad_value(option, value, "one of " + listed + " is needed");
}

Result<json::value> check_text(const OptionInfo& option, const json::value& value) {
  if (!value.is_string()) return bad_value(option, value, "a text is needed");
  if (!option.choices.empty()) return check_choice(option, value);
  const std::string_view text(value.get_string());
  if (text.size() > kMaxTextBytes || text.find('\0') != std::string_view::npos) {
    return bad_value(option, value,
                     fmt::format("plain text of at most {} bytes is needed", kMaxTextBytes));
  }
  if (option.key == "samples_filename_pattern" && !text.empty()) {
    if (Status good = request::check_file_name_pattern(text); !good) {
      return good.error().in(std::string(option.key));
    }
  }
  return value;
}

Result<json::value> check_value(const OptionInfo& option, const json::value& value) {
  switch (option.type) {
    case OptionType::kBool:
      if (!value.is_bool()) return bad_value(option, value, "true or false is needed");
      return value;
    case OptionType::kInteger:
    case OptionType::kNumber:
      return check_number(option, value);
    case OptionType::kText:
      return check_text(option, value);
  }
  throw std::logic_error("an option of a type that there is not");
}

/// Through the check, which makes numbers of one kind.
json::value default_of(const OptionInfo& option) {
  return *check_value(option, *parse_json(option.default_value));
}

}  // namespace

Result<std::unique_ptr<Options>> Options::open(const std::filesystem::path& data_dir,
                                               const std::filesystem::path& output_dir) {
  std::unique_ptr<Options> options(new Options(data_dir / "options.json", output_dir.string()));
  if (Status read = options->read(); !read) return read.error();
  return options;
}

Status Options::read() {
  const Result<std::string> text = read_file(file_, kMaxFileBytes);
  if (!text) return text.error().code == ErrorCode::kNotFound ? Status() : Status(text.error());
  const Result<json::value> parsed = parse_json(*text);
  if (!parsed || !parsed->is_object()) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("{} is no JSON object{}; mend it, or remove it to go back to the "
                             "defaults",
                             file_.string(), parsed ? "" : ": " + parsed.error().message)};
  }
  for (const auto& [key, value] : parsed->get_object()) {
    const Result<json::object> checked = check({{key, value}});
    if (checked && !checked->empty()) {
      changed_.insert(checked->begin(), checked->end());
    } else {
      spdlog::warn("{}: {}; the default is used", file_.string(),
                   checked ? fmt::format("'{}' is no option", std::string_view(key))
                           : checked.error().message);
    }
  }
  return {};
}

Status Options::write(const json::object& values) const {
  std::string text = "{";
  for (const auto& [key, value] : values) {
    text += fmt::format("{}\n  {}: {}", text.size() > 1 ? "," : "",
                        json::serialize(json::value(key)), json::serialize(value));
  }
  return write_file_atomically(file_, text + "\n}\n");
}

json::value Options::get(std::string_view key) const {
  const OptionInfo* option = find(key);
  if (option == nullptr) throw std::logic_error(fmt::format("there is no option '{}'", key));
  if (key == "outdir_txt2img_samples") return json::value(output_dir_);
  const std::lock_guard lock(mutex_);
  const json::value* changed = changed_.if_contains(key);
  return changed != nullptr ? *changed : default_of(*option);
}

std::string Options::text(std::string_view key) const { return std::string(get(key).as_string()); }
bool Options::flag(std::string_view key) const { return get(key).as_bool(); }
int64_t Options::integer(std::string_view key) const { return get(key).to_number<int64_t>(); }

json::object Options::values() const {
  json::object values;
  for (const OptionInfo& option : table()) values[option.key] = get(option.key);
  return values;
}

Result<json::object> Options::check(const json::object& changes) {
  json::object checked;
  for (const auto& [key, value] : changes) {
    const OptionInfo* option = find(key);
    if (option == nullptr || option->read_only || value.is_null()) continue;
    Result<json::value> good = check_value(*option, value);
    if (!good) return good.error();
    checked[key] = std::move(*good);
  }
  return checked;
}

Result<std::vector<std::string>> Options::set(const json::object& changes) {
  const Result<json::object> checked = check(changes);
  if (!checked) return checked.error();
  const std::lock_guard lock(mutex_);
  json::object values = changed_;
  std::vector<std::string> updated;
  for (const auto& [key, value] : *checked) {
    const json::value initial = default_of(*find(key));
    const json::value* before = values.if_contains(key);
    if ((before != nullptr ? *before : initial) == value) continue;
    updated.emplace_back(key);
    if (value == initial) {
      values.erase(key);
    } else {
      values[key] = value;
    }
  }
  if (updated.empty()) return updated;
  if (Status written = write(values); !written) return written.error();
  changed_ = std::move(values);
  return updated;
}

json::object Options::request_fields(const json::object& settings) {
  json::object fields;
  for (const auto& [key, value] : settings) {
    const OptionInfo* option = find(key);
    if (option == nullptr || option->field.empty()) continue;
    const request::Field& field = *request::find_field(option->field);
    // SD WebUI's way to say that there is no limit.
    if (key == "s_tmax" && value.to_number<double>() == 0) continue;
    if (!field.choices.empty() && value.is_string()) {
      fields[field.key] = *request::choice_from_webui(field, std::string(value.get_string()));
    } else {
      fields[field.key] = value;
    }
  }
  return fields;
}

json::object Options::request_defaults() const {
  const std::lock_guard lock(mutex_);
  return request_fields(changed_);
}

}  // namespace safelight::api
