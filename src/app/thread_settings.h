#pragma once

namespace safelight::app {

/// libgomp reads how long its threads spin while they wait when it is loaded. Its default, some
/// milliseconds, starves a machine that has other work, so the commands that draw start this
/// program anew with a short spin, unless the user has set one (GOMP_SPINCOUNT, OMP_WAIT_POLICY).
/// Returns where nothing is to do, or the start fails, which costs speed only.
void apply_thread_settings(int argc, char** argv);

/// The same for a program that always computes.
void spin_briefly(char** argv);

}  // namespace safelight::app
