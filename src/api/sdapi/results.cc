#include "api/sdapi/results.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <ctime>

#include "base/base64.h"
#include "base/hash.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

constexpr size_t kLongText = 1024;

/// Pictures and the like would come back as large as they went in: only their length does.
json::value shortened(const json::value& value) {
  if (value.is_string() && value.get_string().size() > kLongText) {
    return json::value(fmt::format("<str {}>", value.get_string().size()));
  }
  if (value.is_array()) {
    json::array array;
    for (const json::value& each : value.get_array()) array.push_back(shortened(each));
    return array;
  }
  if (value.is_object()) {
    json::object object;
    for (const auto& [key, each] : value.get_object()) object[key] = shortened(each);
    return object;
  }
  return value;
}

json::object parameters(const jobs::Job& job, const json::object& asked) {
  const request::Request& request = job.asked.request;
  json::object parameters{
      {"steps", request.steps},
      {"sampler_name", request.sampler},
      {"scheduler", request.schedule},
      {"cfg_scale", request.cfg_scale},
      {"seed", request.seed},
      {"subseed", request.subseed},
      {"subseed_strength", request.subseed_strength},
      {"seed_resize_from_w", request.seed_resize_from_w},
      {"seed_resize_from_h", request.seed_resize_from_h},
      {"batch_size", request.batch_size},
      {"n_iter", request.batch_count},
      {"width", request.width},
      {"height", request.height},
      {"clip_skip", request.clip_skip},
  };
  for (const auto& [key, value] : asked) {
    if (!value.is_null() || !parameters.contains(key)) parameters[key] = shortened(value);
  }
  parameters["prompt"] = request.prompt;
  parameters["negative_prompt"] = request.negative_prompt;
  return parameters;
}

/// -1 for none, as SD WebUI has it.
int64_t or_none(int64_t side) { return side > 0 ? side : -1; }

}  // namespace

std::string timestamp(jobs::Time time) {
  if (time <= 0) return "";
  const std::time_t seconds = time / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%Y%m%d%H%M%S}", local);
}

Status outcome_of(const jobs::Job& job) {
  switch (job.state) {
    case jobs::State::kSucceeded:
      return {};
    case jobs::State::kCancelled:
      if (job.cancel == jobs::CancelMode::kInterrupt) return {};
      return Error{ErrorCode::kCancelled, fmt::format("job {} was cancelled", job.id)};
    case jobs::State::kExpired:
      return Error{ErrorCode::kUnavailable,
                   fmt::format("job {} was not drawn before its deadline", job.id)};
    case jobs::State::kQueued:
    case jobs::State::kRunning:
      return Error{ErrorCode::kUnavailable,
                   fmt::format("job {} has not ended; its result will wait under its id", job.id)};
    case jobs::State::kFailed:
    case jobs::State::kRefused:
      break;
  }
  if (job.error) return Error{job.error->code, job.error->message};
  return Error{job.state == jobs::State::kRefused ? ErrorCode::kRefused : ErrorCode::kInternal,
               fmt::format("job {}: {}", job.id, jobs::state_name(job.state))};
}

json::object info_of(const jobs::Job& job, const std::string& version) {
  const request::Request& request = job.asked.request;
  json::array prompts, negatives, seeds, subseeds, infotexts;
  for (const jobs::ResultFile& file : job.results) {
    prompts.emplace_back(request.prompt);
    negatives.emplace_back(request.negative_prompt);
    seeds.emplace_back(file.seed);
    subseeds.emplace_back(file.subseed);
    infotexts.emplace_back(file.infotext);
  }
  const bool any = !job.results.empty();
  return {
      {"prompt", request.prompt},
      {"all_prompts", std::move(prompts)},
      {"negative_prompt", request.negative_prompt},
      {"all_negative_prompts", std::move(negatives)},
      {"seed", any ? job.results.front().seed : request.seed},
      {"all_seeds", std::move(seeds)},
      {"subseed", any ? job.results.front().subseed : request.subseed},
      {"all_subseeds", std::move(subseeds)},
      {"subseed_strength", request.subseed_strength},
      {"width", any ? job.results.front().width : request.width},
      {"height", any ? job.results.front().height : request.height},
      {"sampler_name", request.sampler},
      {"cfg_scale", request.cfg_scale},
      {"steps", request.steps},
      {"batch_size", request.batch_size},
      {"restore_faces", false},
      {"face_restoration_model", nullptr},
      {"sd_model_name", request.model},
      {"sd_model_hash", short_hash(job.asked.model_sha256)},
      {"sd_vae_name", nullptr},
      {"sd_vae_hash", nullptr},
      {"seed_resize_from_w", or_none(request.seed_resize_from_w)},
      {"seed_resize_from_h", or_none(request.seed_resize_from_h)},
      {"denoising_strength", 0},
      {"extra_generation_params", json::object{{"Schedule type", request.schedule}}},
      {"index_of_first_image", 0},
      {"infotexts", std::move(infotexts)},
      {"styles", json::array()},
      {"job_timestamp", timestamp(job.started)},
      {"clip_skip", request.clip_skip},
      {"is_using_inpainting_conditioning", false},
      {"version", version},
  };
}

json::object txt2img_answer(const jobs::Job& job, const std::vector<std::string>& pictures,
                            const json::object& asked, const std::string& version) {
  json::array images;
  for (const std::string& picture : pictures) images.emplace_back(base64_encode(picture));
  return {
      {"images", std::move(images)},
      {"parameters", parameters(job, asked)},
      {"info", json::serialize(info_of(job, version))},
      {"job_id", job.id},
  };
}

json::array history(const std::vector<jobs::Job>& jobs) {
  json::array entries;
  for (const jobs::Job& job : jobs) {
    json::array outputs;
    for (const jobs::ResultFile& file : job.results) {
      if (!file.saved_as.empty()) outputs.emplace_back(file.saved_as);
    }
    const bool ended = jobs::is_final(job.state);
    const jobs::Time time = ended ? job.finished : std::max(job.started, job.created);
    entries.push_back(json::object{
        {"id", job.id},
        {"job", "txt2img"},
        {"op", ended ? "end" : "begin"},
        {"state", jobs::state_name(job.state)},
        {"timestamp", static_cast<double>(time) / 1000},
        {"duration", ended && job.started > 0
                         ? json::value(static_cast<double>(job.finished - job.started) / 1000)
                         : json::value()},
        {"outputs", std::move(outputs)},
    });
  }
  return entries;
}

}  // namespace safelight::api::sdapi
