#include "nn/transformer.h"

#include <algorithm>
#include <cmath>

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

Value CrossAttention::identity(Graph& graph, Value x) const {
  return to_out.linear(graph, to_v(graph, x));
}

Value CrossAttention::received(Graph& graph, Value x, const KeyValue& keys) const {
  const graph::Shape size = graph.shape(x);
  const int64_t width = size[2] / heads;
  const Value query =
      graph.affine(to_q(graph, x), 1 / std::sqrt(static_cast<float>(width)), 0);  // [B, N, size]
  Value total;
  for (int64_t head = 0; head < heads; ++head) {
    const int64_t begin = head * width, end = begin + width;
    const Value scores = graph.matmul(graph.slice(query, 2, begin, end),
                                      graph.slice(keys.key, 2, begin, end), true);  // [B, N, T]
    const Value given = graph.in_f32(graph.softmax(graph.in_f32(scores)));
    const Value mean = graph.in_f32(graph.mean(given, 1));  // [B, 1, T]
    total = total.valid() ? graph.in_f32(graph.add(total, mean)) : mean;
  }
  const float factor = static_cast<float>(size[1]) / static_cast<float>(heads);
  total = graph.in_f32(graph.affine(total, factor, 0));
  return graph.in_f32(graph.reshape(total, {size[0], graph.shape(keys.key)[1]}));
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

TokenMerging TokenMerging::of_ratio(int64_t height, int64_t width, double ratio) {
  const int64_t tokens = height * width, destinations = (height / 2) * (width / 2);
  if (destinations == 0) return {};
  const auto wanted = static_cast<int64_t>(static_cast<double>(tokens) * ratio);
  return {height, width, std::min(wanted, tokens - destinations)};
}

Value TokenMerging::slots(Graph& graph, Value tokens) const {
  const graph::Shape size = graph.shape(tokens);
  const int64_t rows = height / 2, columns = width / 2;
  // The cosine of two tokens, up to a factor that all have.
  const Value directions = graph.rms_norm(tokens, {}, 1e-12F);
  Value first = graph.reshape(directions, {size[0], height, width, size[2]});
  first = graph.slice(graph.slice(first, 1, 0, 2 * rows), 2, 0, 2 * columns);
  first = graph.reshape(first, {size[0], rows, 2, columns, 2, size[2]});
  first = graph.slice(graph.slice(first, 2, 0, 1), 4, 0, 1);
  first = graph.reshape(first, {size[0], rows * columns, size[2]});
  const Value scores = graph.in_f32(graph.matmul(directions, first, true));  // [B, N, windows]
  return graph.token_slots(scores, height, width, merged);
}

Value CrossTransformerBlock::operator()(Graph& graph, Value x, const KeyValue& context,
                                        const SelfAttention& own) const {
  const Value h = norm1(graph, x);
  if (own.identity) {
    x = graph.add(x, attn1.identity(graph, h));
  } else if (own.merging.merged > 0 && own.received == nullptr) {
    const Value slots = own.merging.slots(graph, x);
    const Value few = graph.merge_tokens(h, slots, own.merging.kept());  // [B, kept, size]
    x = graph.add(x, graph.unmerge_tokens(attn1(graph, few, attn1.keys(graph, few)), slots));
  } else {
    const KeyValue keys = attn1.keys(graph, h);
    if (own.received != nullptr) *own.received = attn1.received(graph, h, keys);
    x = graph.add(x, attn1(graph, h, keys));
  }
  x = graph.add(x, attn2(graph, norm2(graph, x), context));
  return graph.add(x, ff(graph, norm3(graph, x)));
}

SpatialTransformer::SpatialTransformer(int64_t channels, int64_t context, int64_t heads,
                                       int64_t depth)
    : norm(channels, 1e-6F), proj_in(channels, channels), proj_out(channels, channels) {
  for (int64_t i = 0; i < depth; ++i) transformer_blocks.emplace_back(channels, context, heads);
}

Value SpatialTransformer::operator()(Graph& graph, Value x, const KeyValue* keys,
                                     const Options& options) const {
  const graph::Shape size = graph.shape(x);
  const TokenMerging tokens = TokenMerging::of_ratio(size[2], size[3], options.merging);
  Value h = graph.permute(norm(graph, x), {0, 2, 3, 1});        // [B, H, W, C]
  h = graph.reshape(h, {size[0], size[2] * size[3], size[1]});  // [B, HW, C]
  h = proj_in(graph, h);
  for (size_t i = 0; i < transformer_blocks.size(); ++i) {
    const auto& same = options.identity;
    h = transformer_blocks[i](graph, h, keys[i],
                              {.merging = tokens,
                               .identity = std::find(same.begin(), same.end(), i) != same.end(),
                               .received = i == 0 ? options.received : nullptr});
  }
  h = graph.reshape(proj_out(graph, h), {size[0], size[2], size[3], size[1]});
  return graph.add(x, graph.permute(h, {0, 3, 1, 2}));  // [B, C, H, W]
}

}  // namespace safelight::nn
