#pragma once

#include <string>

#include "base/result.h"
#include "image/guarded.h"

namespace safelight::guard {

/// Decides what may leave. Only a Guard turns what a model drew into a picture that encoders and
/// files accept. The one policy of this version is "off": everything passes, and the release says
/// so.
class Guard {
 public:
  /// What stands in the released picture and its metadata.
  const std::string& policy() const { return policy_; }

  /// Errors: kRefused when the policy forbids the picture.
  Result<image::ReleasedImage> release(image::UncheckedImage image) const {
    return image::ReleasedImage(std::move(image.image_), policy_);
  }

 private:
  std::string policy_ = "off";
};

}  // namespace safelight::guard
