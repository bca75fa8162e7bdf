#include "http/routes/visible_job.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace safelight::http {

Error no_such_job(std::string_view id) {
  constexpr size_t kShown = 64;
  return {ErrorCode::kNotFound, fmt::format("there is no job '{}'", utf8_prefix(id, kShown))};
}

Result<jobs::Job> find_visible(api::Backend& backend, const api::Principal& principal,
                               const std::string& id) {
  auto job = backend.jobs.store().find(id);
  if (!job) return job.error().code == ErrorCode::kNotFound ? no_such_job(id) : job.error();
  if (!principal.may_see(job->asked.owner)) return no_such_job(id);
  return job;
}

Awaitable<Result<jobs::LiveJob>> find_live(Exchange& exchange, api::Backend& backend,
                                           std::string id) {
  const auto live = backend.jobs.hub().live(id);
  if (live && exchange.principal().may_see(live->owner)) co_return *live;
  const auto find = [&]() -> Result<jobs::LiveJob> {
    const auto job = find_visible(backend, exchange.principal(), id);
    if (!job) return job.error();
    return jobs::LiveJob{.owner = job->asked.owner,
                         .state = job->state,
                         .created = job->created,
                         .started = job->started};
  };
  co_return co_await exchange.blocking(find);
}

bool flag_query(const Exchange& exchange, std::string_view name) {
  const auto text = exchange.query(name);
  return text && *text != "false" && *text != "0";
}

Result<int64_t> number_query(const Exchange& exchange, std::string_view name, int64_t fallback,
                             int64_t minimum, int64_t maximum) {
  const auto text = exchange.query(name);
  if (!text) return fallback;
  int64_t number = 0;
  const char* end = text->data() + text->size();
  const auto [rest, bad] = std::from_chars(text->data(), end, number);
  if (bad == std::errc() && rest == end && number >= minimum && number <= maximum) return number;
  constexpr size_t kShown = 40;
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{} is '{}'; {} to {} is possible, and the default is {}", name,
                           utf8_prefix(*text, kShown), minimum, maximum, fallback)};
}

}  // namespace safelight::http
