#pragma once

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace safelight::jobs {

/// Reads members of an untrusted JSON object into variables. A member that is absent or null leaves
/// its variable alone; the first wrong one is remembered.
class MemberReader {
 public:
  /// `what` names the object in messages, e.g. "delivery".
  MemberReader(const boost::json::value& json, std::string_view what) : what_(what) {
    object_ = json.if_object();
    if (object_ == nullptr) fail(" is no JSON object");
  }

  template <class T>
  MemberReader& get(std::string_view key, T& value) {
    const boost::json::value* member = find(key);
    if (member == nullptr) return *this;
    if constexpr (std::is_same_v<T, std::string>) {
      if (!member->is_string()) return fail(key, "a text");
      value = std::string(member->get_string());
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!member->is_bool()) return fail(key, "true or false");
      value = member->get_bool();
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!member->is_number()) return fail(key, "a number");
      value = member->to_number<T>();
    } else {
      boost::system::error_code wrong;
      const T number = member->to_number<T>(wrong);
      if (wrong) return fail(key, "a whole number that fits");
      value = number;
    }
    return *this;
  }

  /// The member, or null when it is absent or null.
  const boost::json::value* find(std::string_view key) const {
    if (object_ == nullptr) return nullptr;
    const boost::json::value* member = object_->if_contains(key);
    return member == nullptr || member->is_null() ? nullptr : member;
  }

  /// Errors: kInvalidArgument naming the member and what it must be.
  const Status& status() const { return status_; }

 private:
  MemberReader& fail(std::string_view key, std::string_view wanted) {
    return fail(fmt::format(".{} must be {}", key, wanted));
  }
  MemberReader& fail(const std::string& message) {
    if (status_) status_ = Error{ErrorCode::kInvalidArgument, std::string(what_) + message};
    return *this;
  }

  std::string_view what_;
  const boost::json::object* object_ = nullptr;
  Status status_;
};

}  // namespace safelight::jobs
