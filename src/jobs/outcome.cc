#include "jobs/outcome.h"

#include <fmt/format.h>

#include <set>
#include <span>

#include "base/hash.h"

namespace safelight::jobs {
namespace {

Error wrong(const std::string& what) {
  return {ErrorCode::kInvalidArgument, "the end of a job cannot be stored: " + what};
}

Status check_picture(const FinishedPicture& picture) {
  const ResultFile& file = picture.file;
  if (file.bytes != picture.data.size()) {
    return wrong(fmt::format("picture {} has {} bytes instead of the {} that are told of it",
                             file.index, picture.data.size(), file.bytes));
  }
  if (file.sha256 != sha256(std::as_bytes(std::span(picture.data)))) {
    return wrong(fmt::format("picture {} has not the hash that is told of it", file.index));
  }
  return {};
}

}  // namespace

Status check_outcome(const Outcome& outcome) {
  if (!is_final(outcome.state)) {
    return wrong(fmt::format("'{}' is no final state", state_name(outcome.state)));
  }
  if (outcome.error.has_value() == (outcome.state == State::kSucceeded)) {
    return wrong(fmt::format("it {} an error and is '{}'", outcome.error ? "has" : "lacks",
                             state_name(outcome.state)));
  }
  std::set<int64_t> indices;
  for (const FinishedPicture& picture : outcome.pictures) {
    if (picture.file.index < 0 || !indices.insert(picture.file.index).second) {
      return wrong(fmt::format("picture {} is there twice or is none", picture.file.index));
    }
    if (Status good = check_picture(picture); !good) return good;
  }
  return {};
}

JobError cancelled_error() {
  return {.code = ErrorCode::kCancelled, .message = "cancelled as was asked for"};
}

JobError expired_error() {
  return {.code = ErrorCode::kCancelled, .message = "its deadline passed before it was done"};
}

Fate fate_of(CancelMode cancel, int crashes, int max_attempts, const std::string& reason) {
  if (cancel != CancelMode::kNone) return {.state = State::kCancelled, .error = cancelled_error()};
  if (crashes < max_attempts) return {};
  return {.state = State::kFailed,
          .error = JobError{.code = ErrorCode::kInternal,
                            .message = fmt::format("{} (after {} attempts)", reason, crashes)}};
}

}  // namespace safelight::jobs
