#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::api {

enum class OptionType { kBool, kInteger, kNumber, kText };

/// One setting under SD WebUI's name: what it may be, and what it is about.
struct OptionInfo {
  std::string_view key, label;
  std::string_view section;  ///< id of an OptionSection
  OptionType type;
  std::string_view default_value;  ///< as JSON
  double minimum = 0, maximum = 0;
  std::string_view choices = "";  ///< of texts, separated by '|'; empty for any text
  std::string_view field = "";    ///< the request's field that it is the default of; may be empty
  bool read_only = false;
};

struct OptionSection {
  std::string_view id, title;
};

/// What an administrator set, with the defaults of requests: SD WebUI's "options". Kept in a file
/// of the data folder, in which stands only what differs from its default. Any thread; set()
/// blocks.
class Options {
 public:
  static std::span<const OptionInfo> table();
  static std::span<const OptionSection> sections();
  static const OptionInfo* find(std::string_view key);

  /// Reads data_dir/options.json where there is one; unknown keys and values that do not fit are
  /// left out, with a warning. Errors: kCorruptFile for a file that is no JSON object, kIo.
  static Result<std::unique_ptr<Options>> open(const std::filesystem::path& data_dir,
                                               const std::filesystem::path& output_dir);

  /// The value of a key of the table; it is a bug to ask for another.
  boost::json::value get(std::string_view key) const;
  std::string text(std::string_view key) const;
  bool flag(std::string_view key) const;
  int64_t integer(std::string_view key) const;
  /// All of them.
  boost::json::object values() const;

  /// Those of `changes` that may be set, in the table's spelling; unknown and read-only keys and
  /// nulls are dropped. Errors: kInvalidArgument for a value of a wrong type or out of range.
  static Result<boost::json::object> check(const boost::json::object& changes);

  /// Sets all or none, durably; the keys that changed. Errors: those of check(); kIo.
  Result<std::vector<std::string>> set(const boost::json::object& changes);

  /// The fields of requests (by the names of request::fields()) that `settings`, which are checked,
  /// say something about.
  static boost::json::object request_fields(const boost::json::object& settings);
  /// The same for what is set here: defaults for requests that leave those fields out.
  boost::json::object request_defaults() const;

 private:
  Options(std::filesystem::path file, std::string output_dir)
      : file_(std::move(file)), output_dir_(std::move(output_dir)) {}
  Status read();
  Status write(const boost::json::object& values) const;

  const std::filesystem::path file_;
  const std::string output_dir_;
  mutable std::mutex mutex_;
  boost::json::object changed_;  ///< values other than the defaults
};

}  // namespace safelight::api
