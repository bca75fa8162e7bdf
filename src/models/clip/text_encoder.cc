#include "models/clip/text_encoder.h"

#include <string>

namespace safelight::models::clip {

using nn::Graph;
using nn::Value;

TextAttention::TextAttention(int64_t size, int64_t head_count)
    : heads(head_count),
      q_proj(size, size),
      k_proj(size, size),
      v_proj(size, size),
      out_proj(size, size) {}

Value TextAttention::operator()(Graph& graph, Value x) const {
  return out_proj(
      graph, graph.attention(q_proj(graph, x), k_proj(graph, x), v_proj(graph, x), heads, true));
}

TextLayer::TextLayer(const TextConfig& config)
    : layer_norm1(config.size),
      self_attn(config.size, config.heads),
      layer_norm2(config.size),
      fc1(config.size, config.intermediate),
      fc2(config.intermediate, config.size),
      quick_gelu(config.quick_gelu) {}

Value TextLayer::operator()(Graph& graph, Value x) const {
  x = graph.add(x, self_attn(graph, layer_norm1(graph, x)));
  const Value h = fc1(graph, layer_norm2(graph, x));
  return graph.add(x, fc2(graph, quick_gelu ? graph.quick_gelu(h) : graph.gelu(h)));
}

TextEncoder::TextEncoder(const TextConfig& config)
    : token_embedding(config.vocabulary, config.size),
      position_embedding(config.positions, config.size),
      final_layer_norm(config.size) {
  for (int64_t i = 0; i < config.layers; ++i) layers.emplace_back(config);
  if (config.pooled > 0) text_projection = nn::Linear(config.size, config.pooled, false);
}

Value TextEncoder::run_layers(Graph& graph, Value ids, size_t count,
                              const std::optional<LearnedInputs>& learned) const {
  Value x = token_embedding(graph, ids);  // [B, T, C]
  if (learned) x = graph.add(graph.mul(x, learned->kept), learned->vectors);
  x = graph.add(x, nn::use(graph, position_embedding.weight));
  for (size_t i = 0; i < count; ++i) {
    x = layers[i](graph, x);
    graph.tap("text.layer." + std::to_string(i), x);
  }
  return x;
}

Value TextEncoder::operator()(Graph& graph, Value ids, int64_t clip_skip,
                              const std::optional<LearnedInputs>& learned) const {
  const size_t last = layers.size() - static_cast<size_t>(clip_skip - 1);
  const Value x = final_layer_norm(graph, run_layers(graph, ids, last, learned));
  graph.tap("text.final", x);
  return x;
}

Value TextEncoder::last_but_one(Graph& graph, Value ids,
                                const std::optional<LearnedInputs>& learned) const {
  return run_layers(graph, ids, layers.size() - 1, learned);
}

Value TextEncoder::last(Graph& graph, Value last_but_one) const {
  const Value x = final_layer_norm(graph, layers.back()(graph, last_but_one));
  graph.tap("text.final", x);
  return x;
}

Value TextEncoder::pool(Graph& graph, Value last, Value end) const {
  const graph::Shape size = graph.shape(last);
  const Value one = graph.matmul(graph.reshape(end, {size[0], 1, size[1]}), last);  // [B, 1, C]
  return (*text_projection)(graph, graph.reshape(one, {size[0], size[2]}));         // [B, pooled]
}

}  // namespace safelight::models::clip
