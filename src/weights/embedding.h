#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// The most vectors that a textual inversion may have: those that fit one run of a text encoder.
constexpr int64_t kMaxEmbeddingVectors = 75;

/// What a file of textual inversion teaches.
struct Embedding {
  /// [count, width], in float32: of one text encoder under "", or under "clip_l" and "clip_g"
  /// (SDXL). All have the same count.
  std::map<std::string, Tensor, std::less<>> vectors;
  std::string name;  ///< as the file calls itself, mostly not what it is called by; or empty
  std::optional<int64_t> step;  ///< of the training
  std::string checkpoint;       ///< that it was trained on, where told

  int64_t count() const { return vectors.begin()->second.shape[0]; }
  /// The width of its vectors; of pairs the sum, as SD WebUI counts.
  int64_t width() const;
};

/// Reads textual inversions in SD WebUI's form (`string_to_param.*`), that of diffusers (one
/// tensor, named by its word), of safetensors (`emb_params`) and of SDXL (`clip_l`, `clip_g`).
/// Errors: kUnsupported for other files; kCorruptFile for tensors of other ranks, several words,
/// more than kMaxEmbeddingVectors, different counts, and values that are not finite.
Result<Embedding> read_embedding(const TensorIndex& index);

/// The textual inversions that a LoRA brings with it (`bundle_emb.NAME.string_to_param.*`,
/// `bundle_emb.NAME.clip_l`), by name. Errors: those of read_embedding.
Result<std::map<std::string, Embedding, std::less<>>> read_bundled_embeddings(
    const TensorIndex& index);

/// Opens a file and reads it. Errors: those of open_weights and read_embedding; kUnsupported for
/// pictures that hold an embedding.
Result<Embedding> open_embedding(const std::filesystem::path& path);

/// For each of a model's text encoders, by the width of its tokens, the vectors that it is to be
/// given. Errors: kUnsupported saying for what the embedding is instead.
Result<std::vector<Tensor>> vectors_for(const Embedding& embedding,
                                        const std::vector<int64_t>& widths);

/// The width of the tokens of a checkpoint's text encoders together, as Embedding::width() counts;
/// 0 where the file has none or cannot be read. Reads its head alone.
int64_t text_width(const std::filesystem::path& checkpoint);

}  // namespace safelight::weights
