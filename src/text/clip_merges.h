#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace safelight::text {

/// CLIP's 48,894 merges in order of rank, as pairs of token numbers. Made at build time by
/// tools/text/make_clip_merges.py from open_clip's vocabulary file (MIT).
struct ClipMerge {
  uint16_t left, right;
};
extern const std::span<const ClipMerge> kClipMerges;

}  // namespace safelight::text
