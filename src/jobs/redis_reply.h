#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct redisReply;

namespace safelight::jobs {

/// An answer of a Redis server: untrusted, so that every look at it is checked.
struct RedisReply {
  enum class Kind { kNil, kInteger, kText, kError, kArray, kOther };
  Kind kind = Kind::kNil;
  int64_t integer = 0;            ///< kInteger
  std::string text;               ///< kText, kError
  std::vector<RedisReply> items;  ///< kArray

  bool nil() const { return kind == Kind::kNil; }

  // Errors: kUnavailable saying what came and what was expected.
  Result<std::string_view> as_text() const;
  Result<int64_t> as_integer() const;  ///< also of a text that is one
  Result<double> as_real() const;      ///< of a text
  Status as_array(size_t at_least) const;
};

/// A copy of what hiredis read. Kinds that no command of ours is answered with are kOther.
RedisReply copy_reply(const redisReply& reply);

/// Fields and values that alternate, as HGETALL gives them.
class RedisHash {
 public:
  /// `reply` must outlive it. Errors: kUnavailable when it is no list of pairs of text.
  static Result<RedisHash> of(const RedisReply& reply);

  bool empty() const { return reply_->items.empty(); }
  /// The value; empty when there is none.
  std::string_view text(std::string_view field) const;
  /// 0 when there is none. Errors: kUnavailable for what is no number.
  Result<int64_t> integer(std::string_view field) const;

 private:
  explicit RedisHash(const RedisReply& reply) : reply_(&reply) {}
  const RedisReply* reply_;
};

}  // namespace safelight::jobs
