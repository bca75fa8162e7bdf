#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::text {

/// One of the texts that a wildcard stands for; heavier ones are chosen more often.
struct WildcardValue {
  std::string text;
  double weight = 1;
  bool operator==(const WildcardValue&) const = default;
};

using WildcardValues = std::vector<WildcardValue>;

/// "2::red" as the value "red" of weight 2; what begins with no number and "::" weighs 1.
WildcardValue read_weighted(std::string_view text);

/// The values of a wildcard's file: one a line, without white space at its ends; empty lines and
/// what stands behind a '#' at the beginning of a line or after white space do not count.
WildcardValues read_wildcard_lines(std::string_view text);

/// Whether `name` fits `pattern`, in which '*' stands for any text and '?' for one byte. Case is
/// ignored (ASCII). O(pattern + name) but for repeated '*': O(pattern * name).
bool matches_glob(std::string_view pattern, std::string_view name);

/// The wildcards of some folders: NAME.txt is the wildcard __NAME__, sub/NAME.txt __sub/NAME__.
/// Folders are looked through when a value is first asked for, and files read then; make one for
/// each prompt, so that changes are seen. One thread at a time.
class WildcardFiles {
 public:
  explicit WildcardFiles(std::vector<std::filesystem::path> folders)
      : folders_(std::move(folders)) {}

  /// All names in order; of equal ones the first folder's counts.
  std::vector<std::string> names();

  /// The values of the files that `name` means: the file of that name (case is ignored), else those
  /// of that name in any sub-folder; all that fit a name with '*' or '?'. Empty where there is no
  /// such file. Errors: kIo, kInvalidArgument naming a file that is too large, no UTF-8, or without
  /// values.
  Result<std::shared_ptr<const WildcardValues>> values(std::string_view name);

 private:
  struct File {
    std::string name;  ///< with '/' between folders
    std::filesystem::path path;
  };

  void scan();
  Result<WildcardValues> read_meant(std::string_view name) const;

  std::vector<std::filesystem::path> folders_;
  std::vector<File> files_;  ///< sorted by name
  std::map<std::string, std::shared_ptr<const WildcardValues>, std::less<>> known_;
  bool scanned_ = false;
};

}  // namespace safelight::text
