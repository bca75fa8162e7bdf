#include "app/saved_pictures.h"

#include "base/file.h"
#include "base/hash.h"
#include "image/codec.h"
#include "request/filename.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

/// ".png" for "image/png".
std::string extension_of(const std::string& media_type) {
  const auto format = image::find_format(media_type.substr(media_type.find('/') + 1));
  return format ? std::string(image::format_extension(*format)) : "";
}

}  // namespace

Result<std::string> SavedPictures::save(const jobs::Job& job,
                                        const jobs::FinishedPicture& picture) {
  request::Request request = job.asked.request;
  request.seed = picture.file.seed;
  request.subseed = picture.file.subseed;
  const request::FileNameFacts facts{request, request.model, short_hash(job.asked.model_sha256)};
  const std::string pattern =
      job.asked.delivery.pattern.empty() ? pattern_() : job.asked.delivery.pattern;
  const std::string extension = extension_of(picture.file.media_type);

  const std::lock_guard lock(mutex_);
  if (next_number_ == 0) next_number_ = request::next_number(folder_);
  fs::path path = folder_ / (request::file_name(pattern, facts, next_number_) + extension);
  std::error_code ignored;
  for (int64_t copy = 2; fs::exists(path, ignored); ++copy) {
    path = folder_ / (request::file_name(pattern, facts, next_number_) + "-" +
                      std::to_string(copy) + extension);
  }
  if (Status written = write_file_atomically(path, picture.data); !written) return written.error();
  ++next_number_;
  return path.string();
}

}  // namespace safelight::app
