#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/codec.h"
#include "image/guarded.h"
#include "request/filename.h"

namespace safelight::app {

/// Where and how pictures are written, as flags and configuration say.
struct OutputOptions {
  std::optional<std::filesystem::path> file;  ///< -o: this very name
  std::filesystem::path folder;               ///< without -o: this folder, names by `pattern`
  std::string pattern{request::kDefaultFileNamePattern};
  std::optional<std::string> format;  ///< png, jpeg, webp; without it by the ending of `file`
  int quality = 90;                   ///< JPEG and WebP
  bool metadata = true;               ///< whether the generation text goes into the picture
};

/// One picture that is ready to be written.
struct Picture {
  const image::ReleasedImage& image;
  request::FileNameFacts facts;
  std::string infotext;
};

/// Writes the pictures of one request, each whole or not at all.
class OutputWriter {
 public:
  /// Checks everything that can be known before work starts; `count` pictures are to come. Errors:
  /// kInvalidArgument for a format, quality or pattern that there is not, or an ending that
  /// contradicts the format; kIo when the place cannot be written.
  static Result<OutputWriter> prepare(OutputOptions options, int64_t count);

  /// Whether pictures can hold that generation text. Errors: kInvalidArgument.
  Status check_infotext(std::string_view infotext) const;

  /// Writes the next picture and tells its path. A file of the same name is replaced only when -o
  /// named it. Errors: those of encoding and writing.
  Result<std::filesystem::path> write(const Picture& picture);

 private:
  OutputWriter(OutputOptions options, image::Format format, int64_t count)
      : options_(std::move(options)), format_(format), count_(count) {}
  std::filesystem::path next_path(const request::FileNameFacts& facts) const;

  OutputOptions options_;
  image::Format format_;
  int64_t count_;
  int64_t written_ = 0;
};

/// `path` for the index-th of `count` pictures (from 0): itself for one, else `name-3.png`, with as
/// many digits as `count` has.
std::filesystem::path numbered_path(const std::filesystem::path& path, int64_t index,
                                    int64_t count);

}  // namespace safelight::app
