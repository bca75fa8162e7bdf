#pragma once

#include <span>
#include <string>

#include "base/hash.h"
#include "jobs/store.h"

namespace safelight::fault {

/// What store_workload submits and hands in, for those who check what is left of it.
inline jobs::NewJob workload_job(size_t prompt_bytes) {
  jobs::NewJob job;
  job.request.prompt = std::string(prompt_bytes, 'x');
  job.request.seed = 4294967295;
  job.request.width = job.request.height = 512;
  job.owner = "ann";
  return job;
}

inline jobs::FinishedPicture workload_picture(const std::string& id) {
  jobs::FinishedPicture picture;
  picture.data = std::string(5000, 'p') + id;
  picture.file.sha256 = sha256(std::as_bytes(std::span(picture.data)));
  picture.file.bytes = picture.data.size();
  picture.file.media_type = "image/png";
  return picture;
}

}  // namespace safelight::fault
