#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "request/request.h"

namespace safelight::request {

/// What a file name can tell about a picture.
struct FileNameFacts {
  const Request& request;  ///< of this picture: its own seed
  std::string model_name;
  std::string model_hash;
};

constexpr std::string_view kDefaultFileNamePattern = "[seq]-[date]-[model_name]";

/// Errors: kInvalidArgument naming the tokens there are, when the pattern has another.
Status check_file_name_pattern(std::string_view pattern);

/// The pattern with [seq], [date], [datetime], [time], [model_name], [model_hash], [seed], [steps],
/// [cfg], [sampler], [schedule], [width], [height], [prompt], [prompt_words], [uuid] filled in, fit
/// for any file system: no separators or control characters, at most 200 bytes, never empty. [seq]
/// is `number` with at least five digits.
std::string file_name(std::string_view pattern, const FileNameFacts& facts, int64_t number);

/// One more than the highest number that begins a file name in the folder; 1 for an empty or
/// missing folder.
int64_t next_number(const std::filesystem::path& folder);

}  // namespace safelight::request
