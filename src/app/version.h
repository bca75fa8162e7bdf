#pragma once

#include <string>

namespace safelight::app {

/// "0.1.0", and "0.1.0-12-g1a2b3c4" or the like when built from a git checkout.
std::string version();

/// What --version prints: the version and the engines of this build.
std::string version_text();

}  // namespace safelight::app
