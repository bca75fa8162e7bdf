#include <fmt/format.h>

#include <charconv>
#include <csignal>

#include "jobs/redis_store.h"

namespace safelight::jobs {
namespace {

constexpr int kLeastMajor = 6, kLeastMinor = 2;
constexpr std::string_view kFormat = "1";  ///< of lua/common.lua's keys
constexpr size_t kMaxPrefixBytes = 64;

/// The value of "field:value" in the answer to INFO; empty when there is none.
std::string_view info_field(std::string_view info, std::string_view field) {
  const std::string start = fmt::format("\n{}:", field);
  const size_t at = info.find(start);
  if (at == info.npos) return {};
  const std::string_view rest = info.substr(at + start.size());
  return rest.substr(0, rest.find_first_of("\r\n"));
}

class ServerCheck {
 public:
  ServerCheck(RedisPool& pool, bool weak) : pool_(pool), weak_(weak) {}

  Status run() {
    auto reply = pool_.call({"INFO"});
    if (!reply) return reply.error();
    auto info = reply->as_text();
    if (!info) return info.error();
    if (auto fit = check_kind(*info); !fit) return fit;
    return check_durability(*info);
  }

 private:
  Error unfit(std::string_view got, std::string_view remedy) const {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("broker {}: {}; {}", pool_.label(), got, remedy)};
  }

  Status check_kind(std::string_view info) const {
    const std::string_view version = info_field(info, "redis_version");
    int major = 0, minor = 0;
    const char* end = version.data() + version.size();
    const auto parsed = std::from_chars(version.data(), end, major);
    if (parsed.ec == std::errc() && parsed.ptr < end) std::from_chars(parsed.ptr + 1, end, minor);
    if (major < kLeastMajor || (major == kLeastMajor && minor < kLeastMinor)) {
      return unfit(fmt::format("it is Redis '{}'", version.substr(0, 32)),
                   fmt::format("expected {}.{} or newer", kLeastMajor, kLeastMinor));
    }
    if (info_field(info, "role") != "master")
      return unfit("it is a replica", "give the address of the primary");
    if (info_field(info, "cluster_enabled") == "1")
      return unfit("it is a cluster's node",
                   "give a server of its own: jobs are changed in one place");
    const std::string_view policy = info_field(info, "maxmemory_policy");
    if (policy != "noeviction") {
      return unfit(fmt::format("its maxmemory-policy is '{}', which drops jobs when it is full",
                               policy.substr(0, 32)),
                   "set 'maxmemory-policy noeviction'");
    }
    return {};
  }

  Status check_durability(std::string_view info) const {
    if (weak_) return {};
    if (info_field(info, "aof_enabled") != "1") {
      return unfit("its 'appendonly' is 'no', so that a crash loses accepted jobs",
                   "set 'appendonly yes' and 'appendfsync always', or allow weak durability");
    }
    auto reply = pool_.call({"CONFIG", "GET", "appendfsync"});
    if (!reply) {
      return unfit(fmt::format("whether it syncs what it accepts cannot be asked ({})",
                               reply.error().message),
                   "let its user run 'CONFIG GET appendfsync', or allow weak durability");
    }
    if (auto pair = reply->as_array(2); !pair) return pair.error();
    if (reply->items[1].text != "always") {
      return unfit(
          fmt::format("its 'appendfsync' is '{}', so that a crash of its machine loses the "
                      "jobs of the last seconds",
                      reply->items[1].text.substr(0, 32)),
          "set 'appendfsync always', or allow weak durability");
    }
    return {};
  }

  RedisPool& pool_;
  bool weak_;
};

/// Programs of another form of the keys must not mix with us.
Status check_format(RedisPool& pool, const std::string& prefix) {
  const std::string key = prefix + ":format";
  if (auto set = pool.call({"SET", key, kFormat, "NX"}); !set) return set.error();
  auto reply = pool.call({"GET", key});
  if (!reply) return reply.error();
  if (reply->text == kFormat) return {};
  return Error{ErrorCode::kUnavailable,
               fmt::format("broker {}: jobs under the name '{}' are in format '{}', this version "
                           "writes '{}'; use the same version everywhere, or another name",
                           pool.label(), prefix, reply->text.substr(0, 32), kFormat)};
}

}  // namespace

Result<std::unique_ptr<RedisStore>> open_redis_store(const RedisOptions& options) {
  auto target = parse_redis_url(options.url);
  if (!target) return target.error();
  if (options.name_prefix.empty() || options.name_prefix.size() > kMaxPrefixBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("broker: a service's name of {} bytes; expected 1 to {}",
                             options.name_prefix.size(), kMaxPrefixBytes)};
  }
  std::signal(SIGPIPE, SIG_IGN);  // hiredis and OpenSSL write to sockets that may be closed
  auto pool = RedisPool::make({.target = *target,
                               .ca_file = options.ca_file,
                               .certificate = options.certificate,
                               .key = options.key,
                               .verify = options.verify,
                               .connect_ms = options.connect_ms,
                               .answer_ms = options.answer_ms},
                              options.connections, options.retry_ms);
  if (!pool) return pool.error();
  if (auto fit = ServerCheck(**pool, options.allow_weak_durability).run(); !fit) return fit.error();
  if (auto known = check_format(**pool, options.name_prefix); !known) return known.error();
  return std::make_unique<RedisStore>(*std::move(pool), options);
}

}  // namespace safelight::jobs
