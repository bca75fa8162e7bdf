#include "models/mobilenet_v2/mobilenet_v2.h"

namespace safelight::models::mobilenet_v2 {
namespace {

using nn::Conv2d;
using nn::Graph;
using nn::Value;

/// TensorFlow's "SAME" for a 3x3 kernel on an even size: a stride of 2 pads the far ends alone.
graph::Padding same(int64_t stride) {
  return stride == 1 ? graph::Padding::same(1) : graph::Padding{.bottom = 1, .right = 1};
}

Value relu6(Graph& graph, Value x) { return graph.clamp(x, 0, 6); }

/// A 3x3 kernel for each channel.
Conv2d depthwise_conv(int64_t channels, int64_t stride) {
  Conv2d conv(1, channels, 3, stride, same(stride));
  conv.attributes.groups = channels;
  return conv;
}

}  // namespace

InvertedResidual::InvertedResidual(int64_t in, int64_t out, int64_t expansion, int64_t steps)
    : depthwise(depthwise_conv(in * expansion, steps)),
      project(in * expansion, out, 1),
      stride(steps),
      adds(steps == 1 && in == out) {
  if (expansion > 1) expand = Conv2d(in, in * expansion, 1);
}

Value InvertedResidual::operator()(Graph& graph, Value x) const {
  Value h = expand ? relu6(graph, (*expand)(graph, x)) : x;
  h = relu6(graph, depthwise(graph, h));
  h = project(graph, h);
  return adds ? graph.add(x, h) : h;
}

MobileNetV2::MobileNetV2(const Config& config)
    : stem(3, config.stem, 3, 2, same(2)),
      last(config.stages.back().channels, config.last, 1),
      head(config.last, config.classes) {
  int64_t channels = config.stem;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    for (int64_t i = 0; i < stage.blocks; ++i) {
      blocks.emplace_back(channels, stage.channels, s == 0 ? 1 : config.expansion,
                          i == 0 ? stage.stride : 1);
      channels = stage.channels;
    }
  }
}

Value MobileNetV2::operator()(Graph& graph, Value pixels) const {
  Value x = relu6(graph, stem(graph, graph.affine(pixels, 2, -1)));  // [B, stem, size / 2, ...]
  for (const InvertedResidual& block : blocks) x = block(graph, x);
  x = relu6(graph, last(graph, x));  // [B, last, size / 32, size / 32]
  const graph::Shape shape = graph.shape(x);
  x = graph.mean(graph.reshape(x, {shape[0], shape[1], shape[2] * shape[3]}), 2);
  x = graph.reshape(x, {shape[0], shape[1]});
  return graph.softmax(head(graph, x));
}

}  // namespace safelight::models::mobilenet_v2
