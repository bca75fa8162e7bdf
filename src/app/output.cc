#include "app/output.h"

#include <fmt/format.h>

#include "app/signals.h"
#include "base/file.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

/// The format that flags and the file's ending agree on; PNG when neither says.
Result<image::Format> choose_format(const OutputOptions& options) {
  std::optional<image::Format> asked;
  if (options.format) {
    const Result<image::Format> format = image::find_format(*options.format);
    if (!format) return format.error();
    asked = *format;
  }
  if (!options.file || !options.file->has_extension()) return asked.value_or(image::Format::kPng);
  const Result<image::Format> ending = image::find_format(options.file->extension().string());
  if (!ending) return ending.error().in(options.file->string());
  if (asked && *asked != *ending) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("{}: its ending says {}, but the format asked for is {}; leave one out",
                    options.file->string(), image::format_name(*ending),
                    image::format_name(*asked))};
  }
  return *ending;
}

}  // namespace

fs::path numbered_path(const fs::path& path, int64_t index, int64_t count) {
  if (count <= 1) return path;
  const size_t digits = std::to_string(count).size();
  fs::path numbered = path;
  numbered.replace_filename(fmt::format("{}-{:0{}}{}", path.stem().string(), index + 1, digits,
                                        path.extension().string()));
  return numbered;
}

Result<OutputWriter> OutputWriter::prepare(OutputOptions options, int64_t count) {
  const Result<image::Format> format = choose_format(options);
  if (!format) return format.error();
  constexpr int kMaxQuality = 100;
  if (options.quality < 1 || options.quality > kMaxQuality) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("quality is {}; 1 to {} is possible", options.quality, kMaxQuality)};
  }
  if (Status good = request::check_file_name_pattern(options.pattern); !good) return good.error();
  const fs::path probe =
      options.file ? numbered_path(*options.file, 0, count) : options.folder / "picture";
  if (Status good = check_writable(probe); !good) return good.error();
  return OutputWriter(std::move(options), *format, count);
}

fs::path OutputWriter::next_path(const request::FileNameFacts& facts) const {
  if (options_.file) return numbered_path(*options_.file, written_, count_);
  const std::string_view extension = image::format_extension(format_);
  std::error_code ignored;
  for (int64_t number = request::next_number(options_.folder);; ++number) {
    const std::string name = request::file_name(options_.pattern, facts, number);
    fs::path path = options_.folder / fmt::format("{}{}", name, extension);
    if (!fs::exists(path, ignored)) return path;
    // A pattern without [seq] can give a name that is taken.
    path = options_.folder / fmt::format("{}-{}{}", name, number, extension);
    if (!fs::exists(path, ignored)) return path;
  }
}

Status OutputWriter::check_infotext(std::string_view infotext) const {
  return options_.metadata ? image::check_parameters(format_, infotext) : Status();
}

Result<fs::path> OutputWriter::write(const Picture& picture) {
  const Result<std::string> file = image::encode(
      picture.image.pixels(), {.format = format_,
                               .quality = options_.quality,
                               .parameters = options_.metadata ? picture.infotext : ""});
  if (!file) return file.error();
  const fs::path path = next_path(picture.facts);
  const UninterruptedWrite whole;
  if (Status written = write_file_atomically(path, *file); !written) return written.error();
  ++written_;
  return path;
}

}  // namespace safelight::app
