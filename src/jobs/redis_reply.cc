#include "jobs/redis_reply.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <charconv>
#include <cmath>

namespace safelight::jobs {
namespace {

constexpr size_t kShownBytes = 80;

std::string shown(const RedisReply& reply) {
  switch (reply.kind) {
    case RedisReply::Kind::kNil:
      return "nothing";
    case RedisReply::Kind::kInteger:
      return fmt::format("the integer {}", reply.integer);
    case RedisReply::Kind::kText:
      return fmt::format("'{}'", reply.text.substr(0, kShownBytes));
    case RedisReply::Kind::kError:
      return fmt::format("the error '{}'", reply.text.substr(0, kShownBytes));
    case RedisReply::Kind::kArray:
      return fmt::format("a list of {}", reply.items.size());
    case RedisReply::Kind::kOther:
      break;
  }
  return "a reply of a kind that Redis 7 does not use";
}

Error unexpected(const RedisReply& reply, std::string_view expected) {
  return Error{
      ErrorCode::kUnavailable,
      fmt::format("the broker answered {}; expected {}. Is it a Redis server that Safelight "
                  "has for itself?",
                  shown(reply), expected)};
}

}  // namespace

Result<std::string_view> RedisReply::as_text() const {
  if (kind != Kind::kText) return unexpected(*this, "text");
  return std::string_view(text);
}

Result<int64_t> RedisReply::as_integer() const {
  if (kind == Kind::kInteger) return integer;
  int64_t number = 0;
  const char* end = text.data() + text.size();
  if (kind == Kind::kText) {
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end) return number;
  }
  return unexpected(*this, "an integer");
}

Result<double> RedisReply::as_real() const {
  double number = 0;
  const char* end = text.data() + text.size();
  if (kind == Kind::kText) {
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end && std::isfinite(number)) return number;
  }
  return unexpected(*this, "a number");
}

Status RedisReply::as_array(size_t at_least) const {
  if (kind != Kind::kArray || items.size() < at_least)
    return unexpected(*this, fmt::format("a list of at least {}", at_least));
  return {};
}

RedisReply copy_reply(const redisReply& reply) {
  RedisReply copy;
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      break;
    case REDIS_REPLY_INTEGER:
      copy.kind = RedisReply::Kind::kInteger;
      copy.integer = reply.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      copy.kind = RedisReply::Kind::kText;
      copy.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ERROR:
      copy.kind = RedisReply::Kind::kError;
      copy.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ARRAY:
      copy.kind = RedisReply::Kind::kArray;
      copy.items.reserve(reply.elements);
      for (size_t i = 0; i < reply.elements; i++) {
        copy.items.push_back(copy_reply(*reply.element[i]));
      }
      break;
    default:
      copy.kind = RedisReply::Kind::kOther;
  }
  return copy;
}

Result<RedisHash> RedisHash::of(const RedisReply& reply) {
  if (reply.kind != RedisReply::Kind::kArray || reply.items.size() % 2 != 0)
    return unexpected(reply, "pairs of fields and values");
  for (const RedisReply& item : reply.items) {
    if (auto text = item.as_text(); !text) return text.error();
  }
  return RedisHash(reply);
}

std::string_view RedisHash::text(std::string_view field) const {
  for (size_t i = 0; i + 1 < reply_->items.size(); i += 2) {
    if (reply_->items[i].text == field) return reply_->items[i + 1].text;
  }
  return {};
}

Result<int64_t> RedisHash::integer(std::string_view field) const {
  for (size_t i = 0; i + 1 < reply_->items.size(); i += 2) {
    if (reply_->items[i].text == field) {
      if (reply_->items[i + 1].text.empty()) return int64_t{0};
      return reply_->items[i + 1].as_integer();
    }
  }
  return int64_t{0};
}

}  // namespace safelight::jobs
