#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "request/request.h"

namespace safelight::jobs {

/// Milliseconds since the epoch by the system's clock: what is kept on disk.
using Time = int64_t;
Time now();

enum class State { kQueued, kRunning, kSucceeded, kFailed, kCancelled, kRefused, kExpired };

std::string_view state_name(State state);  ///< "queued", "running", "succeeded", ...
std::optional<State> find_state(std::string_view name);
/// Whether a job in this state stays in it.
constexpr bool is_final(State state) { return state != State::kQueued && state != State::kRunning; }

/// How a running job is asked to end.
enum class CancelMode {
  kNone,
  kDrop,       ///< as soon as possible; pictures that are done are kept
  kInterrupt,  ///< and the picture being drawn is decoded as far as it is, as SD WebUI does
};

/// How the pictures of a job are kept: what of a request does not change what is drawn.
struct Delivery {
  std::string format = "png";  ///< png, jpeg, webp
  int quality = 90;            ///< JPEG and WebP
  bool metadata = true;        ///< generation text inside the files
  bool save = false;           ///< also into the output folder, under `pattern`
  std::string pattern;         ///< of file names, for `save`; empty for the server's
  bool previews = false;       ///< somebody may want to watch it: draw previews

  bool operator==(const Delivery&) const = default;
};

/// A job as it is asked for. The request is validated and every choice in it is made (seed,
/// subseed, size, model by name), so that a retry draws the same pictures.
struct NewJob {
  request::Request request;
  Delivery delivery;
  std::string owner;            ///< who asked: a key's or user's name; "local" without auth
  std::string model_sha256;     ///< of the checkpoint; empty for a folder
  std::string source;           ///< "sdapi", "openai", "native", "ui"
  std::string client_id;        ///< a name that the client gave (force_task_id); may be empty
  std::string idempotency_key;  ///< the same key of the same owner is the same job; may be empty
  /// Hash of the request as it was asked for, before choices were made: what must be equal for an
  /// idempotency key to be used again.
  std::string fingerprint;
  std::string traceparent;     ///< W3C trace context to pass on; may be empty
  std::string policy = "off";  ///< of the guard that accepted it: only its workers may draw it
  int priority = 0;            ///< higher first among the jobs of one owner, [-100, 100]
  Time deadline = 0;           ///< a job not finished by then is expired; 0 for none
  int64_t timeout_ms = 0;      ///< longest run of one attempt; 0 for none
  int max_attempts = 3;
};

/// One picture of a finished job.
struct ResultFile {
  int64_t index = 0;  ///< within the job, from 0
  std::string sha256;
  std::string media_type;  ///< "image/png"
  uint64_t bytes = 0;
  int64_t width = 0, height = 0;
  int64_t seed = 0, subseed = -1;
  std::string infotext;
  std::string saved_as;  ///< path in the output folder; empty when it was not saved there
};

/// Why a job did not succeed.
struct JobError {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

struct Job {
  std::string id;  ///< a ULID: sorts by the time of acceptance
  NewJob asked;
  State state = State::kQueued;
  int attempt = 0;                        ///< runs begun so far
  CancelMode cancel = CancelMode::kNone;  ///< asked for, while it runs
  std::string worker;                     ///< which runs or ran it
  Time created = 0, started = 0, finished = 0;
  std::optional<JobError> error;
  std::vector<ResultFile> results;  ///< of what was drawn; also of a cancelled job
};

/// What `job` costs to draw: megapixel-steps, of all its pictures. Fairness, quotas and ETAs count
/// in it.
double cost_of(const request::Request& request);

}  // namespace safelight::jobs
