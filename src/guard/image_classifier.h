#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "engine/engine.h"
#include "image/image.h"

namespace safelight::guard {

/// How likely an image is of each kind; they add up to 1.
struct ImageScores {
  double drawing = 0;  ///< drawn, not sexual
  double hentai = 0;   ///< drawn and sexual
  double neutral = 0;  ///< photographed, not sexual
  double porn = 0;     ///< sexual acts, genitals
  double sexy = 0;     ///< suggestive, not porn
};

/// The shipped image classifier: nsfwjs' MobileNetV2Mid (MIT) on an engine. It sees sexual content
/// alone, in photographs and drawings; about everything else, the abuse of children above all, it
/// says nothing. One thread at a time.
class ImageClassifier {
 public:
  /// The file that a build makes (tools/guard/make_image_classifier.py).
  static constexpr std::string_view kFileName = "nsfw-mobilenet-v2.safetensors";

  /// The engine must outlive the classifier; one in kF32 gives nsfwjs' numbers. Errors: those of
  /// the file, kCorruptFile.
  static Result<std::unique_ptr<ImageClassifier>> load(engine::Engine& engine,
                                                       const std::filesystem::path& file);

  /// An image of 1, 3 or 4 channels (transparent parts lie on white). Errors: kInvalidArgument for
  /// an empty one, kCancelled, kInternal for results that are no probabilities.
  Result<ImageScores> classify(const image::Image& image, const engine::StopFlag* stop = nullptr);

 private:
  explicit ImageClassifier(std::unique_ptr<engine::Executable> executable)
      : executable_(std::move(executable)) {}

  std::unique_ptr<engine::Executable> executable_;
};

/// The image as the classifier reads it: [1, 3, size, size] in [0, 1], bilinear between the nearest
/// four pixels with the corners on the corners, as TensorFlow.js' resizeBilinear(alignCorners).
Tensor classifier_input(const image::Image& image, int64_t size);

}  // namespace safelight::guard
