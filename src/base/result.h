#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace safelight {

/// What went wrong, for programs. `error_info` maps each to its HTTP and exit status.
enum class ErrorCode {
  kInvalidArgument,  ///< A value that the caller gave cannot be used.
  kNotFound,         ///< A file, model, sampler or id that does not exist.
  kUnsupported,      ///< Understood, but not something this build or model can do.
  kCorruptFile,      ///< A file that does not hold what its format promises.
  kIo,               ///< The operating system refused to read or write.
  kOutOfMemory,      ///< More memory than there is, or than the budget allows.
  kCancelled,        ///< Ended by the user or a timeout.
  kRefused,          ///< The guard's policy forbids it.
  kUnauthenticated,  ///< Credentials are missing or wrong.
  kForbidden,        ///< The caller is known, and may not.
  kConflict,         ///< The same key or name already means something else.
  kBusy,             ///< Too many requests, a full queue, a used-up quota: later it may work.
  kUnavailable,      ///< A part that is needed (guard, broker) does not answer.
  kInternal,         ///< A bug of ours.
};

/// A row of the one table that maps error codes to names and statuses.
struct ErrorInfo {
  ErrorCode code;
  const char* name;
  int http_status;
  int exit_status;
};

/// The row of `code`; never fails.
const ErrorInfo& error_info(ErrorCode code);
/// The code of that name, as messages between processes carry it; kInternal for another name.
ErrorCode find_error_code(std::string_view name);

/// An error for people: what was done, the value got, the value expected, and the remedy.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  /// The same error with `context + ": "` in front, e.g. the file's name.
  Error in(const std::string& context) const { return {code, context + ": " + message}; }
};

/// A value or an Error, for what users, files or the network can cause. Bugs throw.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// The value; calling it on an error is a bug.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// The error; calling it on a value is a bug.
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error)  // NOLINT(google-explicit-constructor)
      : failed_(true), error_(std::move(error)) {}

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    assert(failed_);
    return error_;
  }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

}  // namespace safelight
