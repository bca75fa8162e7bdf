#pragma once

#include <array>

#include "nn/layers.h"

namespace safelight::models::mobilenet_v2 {

/// The blocks of one width (Sandler et al. 2018, table 2).
struct StageConfig {
  int64_t channels = 0, blocks = 1, stride = 1;
};

/// Sizes of a MobileNetV2; these are of width 1.4.
struct Config {
  int64_t stem = 48;
  int64_t expansion = 6;  ///< of every stage but the first
  std::array<StageConfig, 7> stages{
      {{24, 1, 1}, {32, 2, 2}, {48, 3, 2}, {88, 4, 2}, {136, 3, 1}, {224, 3, 2}, {448, 1, 1}}};
  int64_t last = 1792;
  int64_t classes = 5;
  int64_t size = 224;  ///< pixels along each side
};

/// Expansion, depthwise convolution, projection; added to its input where the size stays.
struct InvertedResidual {
  std::optional<nn::Conv2d> expand;
  nn::Conv2d depthwise, project;
  int64_t stride;
  bool adds;

  InvertedResidual(int64_t in, int64_t out, int64_t expansion, int64_t stride);
  nn::Value operator()(nn::Graph& graph, nn::Value x) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("expand", expand);
    visitor("depthwise", depthwise);
    visitor("project", project);
  }
};

/// An image classifier with batch norms folded into its convolutions, padded as TensorFlow does.
struct MobileNetV2 {
  nn::Conv2d stem;
  std::vector<InvertedResidual> blocks;
  nn::Conv2d last;
  nn::Linear head;

  explicit MobileNetV2(const Config& config);
  /// pixels [B, 3, size, size] in [0, 1] -> probabilities [B, classes]
  nn::Value operator()(nn::Graph& graph, nn::Value pixels) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("stem", stem);
    visitor("blocks", blocks);
    visitor("last", last);
    visitor("head", head);
  }
};

}  // namespace safelight::models::mobilenet_v2
