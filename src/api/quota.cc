#include "api/quota.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace safelight::api {
namespace {

constexpr jobs::Time kDay = 24LL * 3600 * 1000;

/// What is wrong with asking for `wanted` more, and whether waiting helps.
Error exceeded(const char* unit, double limit, double used, double wanted, jobs::Time reset) {
  const std::time_t seconds = reset / 1000;
  const std::string remedy =
      wanted > limit ? "ask for less in a day, or an administrator for more"
                     : fmt::format("it is lifted at {:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
  return {ErrorCode::kBusy, fmt::format("the quota of {:.10g} {} a day leaves {:.10g}, and this "
                                        "asks for {:.10g}; {}",
                                        limit, unit, std::max(0.0, limit - used), wanted, remedy)};
}

}  // namespace

Status check_quota(jobs::Store& store, const Principal& principal, int64_t pictures, double cost,
                   jobs::Time now) {
  const Quota& quota = principal.quota;
  if (quota.pictures <= 0 && quota.megapixel_steps <= 0) return {};
  const jobs::Time today = now - now % kDay;
  const Result<jobs::Store::Usage> used = store.usage(principal.name, today);
  if (!used) return used.error();
  if (quota.pictures > 0 && used->pictures + pictures > quota.pictures) {
    return exceeded("pictures", static_cast<double>(quota.pictures),
                    static_cast<double>(used->pictures), static_cast<double>(pictures),
                    today + kDay);
  }
  if (quota.megapixel_steps > 0 && used->cost + cost > quota.megapixel_steps)
    return exceeded("megapixel-steps", quota.megapixel_steps, used->cost, cost, today + kDay);
  return {};
}

}  // namespace safelight::api
