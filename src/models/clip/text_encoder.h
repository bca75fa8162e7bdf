#pragma once

#include "nn/layers.h"

namespace safelight::models::clip {

/// Sizes of a CLIP text transformer (Radford et al. 2021).
struct TextConfig {
  int64_t size = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate = 3072;
  int64_t vocabulary = 49408;
  int64_t positions = 77;
  bool quick_gelu = true;  ///< OpenAI's CLIP; OpenCLIP's uses the erf form
  int64_t pooled = 0;      ///< width of the pooled text; 0 where it is not used
};

struct TextAttention {
  int64_t heads;
  nn::Linear q_proj, k_proj, v_proj, out_proj;

  TextAttention(int64_t size, int64_t heads);
  nn::Value operator()(nn::Graph& graph, nn::Value x) const;  ///< [B, T, C] -> same, causal

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("q_proj", q_proj);
    visitor("k_proj", k_proj);
    visitor("v_proj", v_proj);
    visitor("out_proj", out_proj);
  }
};

struct TextLayer {
  nn::LayerNorm layer_norm1;
  TextAttention self_attn;
  nn::LayerNorm layer_norm2;
  nn::Linear fc1, fc2;
  bool quick_gelu;

  explicit TextLayer(const TextConfig& config);
  nn::Value operator()(nn::Graph& graph, nn::Value x) const;  ///< [B, T, C] -> same

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("layer_norm1", layer_norm1);
    visitor("self_attn", self_attn);
    visitor("layer_norm2", layer_norm2);
    visitor("mlp.fc1", fc1);
    visitor("mlp.fc2", fc2);
  }
};

/// Vectors that stand in place of some tokens' own.
struct LearnedInputs {
  nn::Value kept;     ///< [B, T, 1]: 0 where one stands, 1 elsewhere
  nn::Value vectors;  ///< [B, T, C]: they, and 0 elsewhere
};

/// CLIP's text transformer under the names of transformers' CLIPTextModel and, with pooled text,
/// CLIPTextModelWithProjection.
struct TextEncoder {
  nn::Embedding token_embedding, position_embedding;
  std::vector<TextLayer> layers;
  nn::LayerNorm final_layer_norm;
  std::optional<nn::Linear> text_projection;

  explicit TextEncoder(const TextConfig& config);

  /// ids [B, T] -> [B, T, C]: the last layer's output, or with clip_skip n (as SD WebUI counts: 1 =
  /// none) that of the n-th from the end, through the final norm. clip_skip is in [1, layers].
  nn::Value operator()(nn::Graph& graph, nn::Value ids, int64_t clip_skip,
                       const std::optional<LearnedInputs>& learned = std::nullopt) const;
  /// ids [B, T] -> [B, T, C]: what the last layer but one gives, not normed; at least two layers.
  nn::Value last_but_one(nn::Graph& graph, nn::Value ids,
                         const std::optional<LearnedInputs>& learned = std::nullopt) const;
  /// From there through the last layer and the final norm.
  nn::Value last(nn::Graph& graph, nn::Value last_but_one) const;
  /// The whole text in one vector: last [B, T, C], and `end` [B, T], 1 at the end mark and 0
  /// elsewhere -> [B, pooled]. Needs pooled text in the config.
  nn::Value pool(nn::Graph& graph, nn::Value last, nn::Value end) const;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("embeddings.token_embedding", token_embedding);
    visitor("embeddings.position_embedding", position_embedding);
    visitor("encoder.layers", layers);
    visitor("final_layer_norm", final_layer_norm);
    visitor("text_projection", text_projection);
  }

 private:
  /// The embedded text through the first `count` layers, not normed.
  nn::Value run_layers(nn::Graph& graph, nn::Value ids, size_t count,
                       const std::optional<LearnedInputs>& learned) const;
};

}  // namespace safelight::models::clip
