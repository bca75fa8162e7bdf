#pragma once

namespace safelight::app {

/// From now on SIGINT and SIGTERM end the process at once with status 130 or 143, from wherever it
/// is: pictures are drawn in this process alone, so nothing but a file that is being written needs
/// care. A second signal kills without that care.
void end_on_signals();

/// While one lives, a signal waits for the file that is being written: the process ends when the
/// last one dies.
class UninterruptedWrite {
 public:
  UninterruptedWrite();
  ~UninterruptedWrite();
  UninterruptedWrite(const UninterruptedWrite&) = delete;
  UninterruptedWrite& operator=(const UninterruptedWrite&) = delete;
};

/// Whether a signal waits for an UninterruptedWrite: work that takes long gives up then, and leaves
/// no half of a file.
bool end_is_wanted();

}  // namespace safelight::app
