#include "nn/transformer.h"

namespace safelight::nn {

CrossAttention::CrossAttention(int64_t size, int64_t context, int64_t head_count)
    : heads(head_count),
      to_q(size, size, false),
      to_k(context, size, false),
      to_v(context, size, false),
      to_out{Linear(size, size)} {}

KeyValue CrossAttention::keys(Graph& graph, Value context) const {
  return {to_k(graph, context), to_v(graph, context)};
}

Value CrossAttention::operator()(Graph& graph, Value x, const KeyValue& keys) const {
  return to_out.linear(graph, graph.attention(to_q(graph, x), keys.key, keys.value, heads));
}

Value GatedFeedForward::operator()(Graph& graph, Value x) const {
  return out(graph, graph.geglu(gate.proj(graph, x)));
}

CrossTransformerBlock::CrossTransformerBlock(int64_t size, int64_t context, int64_t heads)
    : attn1(size, size, heads),
      ff(size),
      attn2(size, context, heads),
      norm1(size),
      norm2(size),
      norm3(size) {}

Value CrossTransformerBlock::operator()(Graph& graph, Value x, const KeyValue& context) const {
  const Value h = norm1(graph, x);
  x = graph.add(x, attn1(graph, h, attn1.keys(graph, h)));
  x = graph.add(x, attn2(graph, norm2(graph, x), context));
  return graph.add(x, ff(graph, norm3(graph, x)));
}

SpatialTransformer::SpatialTransformer(int64_t channels, int64_t context, int64_t heads,
                                       int64_t depth)
    : norm(channels, 1e-6F), proj_in(channels, channels), proj_out(channels, channels) {
  for (int64_t i = 0; i < depth; ++i) transformer_blocks.emplace_back(channels, context, heads);
}

Value SpatialTransformer::operator()(Graph& graph, Value x, const KeyValue* keys) const {
  const graph::Shape size = graph.shape(x);
  Value h = graph.permute(norm(graph, x), {0, 2, 3, 1});        // [B, H, W, C]
  h = graph.reshape(h, {size[0], size[2] * size[3], size[1]});  // [B, HW, C]
  h = proj_in(graph, h);
  for (const CrossTransformerBlock& block : transformer_blocks) h = block(graph, h, *keys++);
  h = graph.reshape(proj_out(graph, h), {size[0], size[2], size[3], size[1]});
  return graph.add(x, graph.permute(h, {0, 3, 1, 2}));  // [B, C, H, W]
}

}  // namespace safelight::nn
