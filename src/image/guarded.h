#pragma once

#include <string>
#include <utility>

#include "image/image.h"

namespace safelight::guard {
class Guard;
}

namespace safelight::image {

/// A picture as it comes from a model. Nothing but the guard can look at its pixels: encoders,
/// files, sockets and previews take a ReleasedImage, and only the guard makes one.
class UncheckedImage {
 public:
  explicit UncheckedImage(Image image) : image_(std::move(image)) {}
  int width() const { return image_.width; }
  int height() const { return image_.height; }

 private:
  friend class guard::Guard;
  Image image_;
};

/// A picture that the guard let pass, with what it says about it.
class ReleasedImage {
 public:
  const Image& pixels() const { return image_; }
  /// The policy that released it, e.g. "off".
  const std::string& policy() const { return policy_; }

 private:
  friend class guard::Guard;
  ReleasedImage(Image image, std::string policy)
      : image_(std::move(image)), policy_(std::move(policy)) {}
  Image image_;
  std::string policy_;
};

}  // namespace safelight::image
