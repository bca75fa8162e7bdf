#include "base/result.h"

#include <array>

namespace safelight {
namespace {

constexpr std::array kErrors = {
    ErrorInfo{ErrorCode::kInvalidArgument, "invalid_argument", 400, 2},
    ErrorInfo{ErrorCode::kNotFound, "not_found", 404, 3},
    ErrorInfo{ErrorCode::kUnsupported, "unsupported", 422, 4},
    ErrorInfo{ErrorCode::kCorruptFile, "corrupt_file", 422, 5},
    ErrorInfo{ErrorCode::kIo, "io_error", 500, 6},
    ErrorInfo{ErrorCode::kOutOfMemory, "out_of_memory", 507, 7},
    ErrorInfo{ErrorCode::kCancelled, "cancelled", 499, 130},
    ErrorInfo{ErrorCode::kRefused, "refused", 400, 8},
    ErrorInfo{ErrorCode::kUnauthenticated, "unauthenticated", 401, 9},
    ErrorInfo{ErrorCode::kForbidden, "forbidden", 403, 9},
    ErrorInfo{ErrorCode::kConflict, "conflict", 409, 10},
    ErrorInfo{ErrorCode::kBusy, "busy", 429, 11},
    ErrorInfo{ErrorCode::kUnavailable, "unavailable", 503, 12},
    ErrorInfo{ErrorCode::kInternal, "internal", 500, 1},
};

}  // namespace

const ErrorInfo& error_info(ErrorCode code) {
  for (const ErrorInfo& info : kErrors) {
    if (info.code == code) return info;
  }
  return kErrors.back();
}

ErrorCode find_error_code(std::string_view name) {
  for (const ErrorInfo& info : kErrors) {
    if (info.name == name) return info.code;
  }
  return ErrorCode::kInternal;
}

}  // namespace safelight
