#pragma once

#include "base/result.h"
#include "studio/studio.h"

namespace safelight::worker {

/// Draws the jobs that come over the socket `fd`, which it owns, by the protocol of
/// jobs/messages.h, until the other side closes it. Models are loaded when they are needed.
/// Errors: those of Studio::make.
Status run_worker(int fd, studio::StudioOptions options);

}  // namespace safelight::worker
