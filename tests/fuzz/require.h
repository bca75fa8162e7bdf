#pragma once

#include <cstdlib>

/// Ends a fuzz target, which libFuzzer reports with the input that led here.
inline void require(bool holds) {
  if (!holds) std::abort();
}
