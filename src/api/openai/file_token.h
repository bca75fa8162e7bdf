#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jobs/job.h"

namespace safelight::api::openai {

constexpr int64_t kFileLifeMs = 3'600'000;  ///< as long as OpenAI's own links

/// A result that a link leads to, until it expires.
struct FileLink {
  std::string job;
  int64_t index = 0;
  jobs::Time expires = 0;
};

/// "JOB-INDEX-SECONDS-SIGNATURE": the signature is an HMAC over what stands before it.
std::string make_file_token(std::string_view key, const FileLink& link);

/// Errors: kNotFound for a token that this key did not sign, kForbidden for one that has expired.
Result<FileLink> read_file_token(std::string_view key, std::string_view token, jobs::Time now);

}  // namespace safelight::api::openai
