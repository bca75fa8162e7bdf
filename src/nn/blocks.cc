#include "nn/blocks.h"

namespace safelight::nn {
namespace {

constexpr float kResBlockEpsilon = 1e-5F;     // torch's default, kept by LDM's denoisers
constexpr float kAutoencoderEpsilon = 1e-6F;  // LDM's Normalize()

std::optional<Conv2d> shortcut(int64_t in, int64_t out) {
  if (in == out) return std::nullopt;
  return Conv2d(in, out, 1);
}

}  // namespace

TimestepResBlock::TimestepResBlock(int64_t in, int64_t out, int64_t embedding)
    : in_layers{GroupNorm(in, kResBlockEpsilon), Conv2d(in, out, 3)},
      emb_layers{Linear(embedding, out)},
      out_layers{GroupNorm(out, kResBlockEpsilon), Conv2d(out, out, 3)},
      skip_connection(shortcut(in, out)) {}

Value TimestepResBlock::operator()(Graph& graph, Value x, Value embedding) const {
  Value h = in_layers.conv(graph, graph.silu(in_layers.norm(graph, x)));
  const Value shift = emb_layers.linear(graph, graph.silu(embedding));
  const graph::Shape& size = graph.shape(shift);
  h = graph.add(h,
                graph.reshape(shift, {size[0], size[1], 1, 1}));  // [B, out, 1, 1] on every pixel
  h = out_layers.conv(graph, graph.silu(out_layers.norm(graph, h)));
  return graph.add(skip_connection ? (*skip_connection)(graph, x) : x, h);
}

ResBlock::ResBlock(int64_t in, int64_t out)
    : norm1(in, kAutoencoderEpsilon),
      conv1(in, out, 3),
      norm2(out, kAutoencoderEpsilon),
      conv2(out, out, 3),
      nin_shortcut(shortcut(in, out)) {}

Value ResBlock::first(Graph& graph, Value x, Value statistics) const {
  return conv1(graph, graph.silu(norm1(graph, x, statistics)));
}

Value ResBlock::second(Graph& graph, Value h, Value statistics) const {
  return conv2(graph, graph.silu(norm2(graph, h, statistics)));
}

Value ResBlock::skip(Graph& graph, Value x) const {
  return nin_shortcut ? (*nin_shortcut)(graph, x) : x;
}

Value ResBlock::operator()(Graph& graph, Value x) const {
  const Value h = second(graph, first(graph, x));
  return graph.add(skip(graph, x), h);
}

PixelAttention::PixelAttention(int64_t channels)
    : norm(channels, kAutoencoderEpsilon),
      q(channels, channels),
      k(channels, channels),
      v(channels, channels),
      proj_out(channels, channels) {}

Value PixelAttention::operator()(Graph& graph, Value x) const {
  const graph::Shape size = graph.shape(x);
  Value h = graph.permute(norm(graph, x), {0, 2, 3, 1});        // [B, H, W, C]
  h = graph.reshape(h, {size[0], size[2] * size[3], size[1]});  // [B, HW, C]
  h = graph.attention(q(graph, h), k(graph, h), v(graph, h), 1);
  h = graph.reshape(proj_out(graph, h), {size[0], size[2], size[3], size[1]});
  return graph.add(x, graph.permute(h, {0, 3, 1, 2}));  // [B, C, H, W]
}

Value Upsample::operator()(Graph& graph, Value x, int64_t height, int64_t width) const {
  Value big = graph.upsample_nearest(x, 2);
  if (graph.shape(big)[2] != height) big = graph.slice(big, 2, 0, height);
  if (graph.shape(big)[3] != width) big = graph.slice(big, 3, 0, width);
  return conv(graph, big);
}

Value Upsample::operator()(Graph& graph, Value x) const {
  return conv(graph, graph.upsample_nearest(x, 2));
}

}  // namespace safelight::nn
