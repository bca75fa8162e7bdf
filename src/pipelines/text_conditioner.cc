#include "pipelines/text_conditioner.h"

#include <algorithm>

#include "models/names/adapter_names.h"
#include "models/stable_diffusion/graphs.h"

namespace safelight::pipelines {
namespace {

using models::stable_diffusion::TextConfig;
using text::ClipTokenizer;
using text::TokenChunk;

constexpr auto kTokens = static_cast<int64_t>(text::kContext);

/// Where a chunk's words end: its first end mark.
size_t end_of(const TokenChunk& chunk) {
  const auto end = std::find(chunk.tokens.begin(), chunk.tokens.end(), ClipTokenizer::kEnd);
  return static_cast<size_t>(std::min(end - chunk.tokens.begin(), std::ptrdiff_t{kTokens - 1}));
}

bool is_empty(const TokenChunk& chunk) { return end_of(chunk) == 1; }

Tensor ids_of(const TokenChunk& chunk, bool zero_padding) {
  Tensor ids({1, kTokens});
  std::copy(chunk.tokens.begin(), chunk.tokens.end(), ids.begin());
  if (zero_padding) std::fill(ids.begin() + end_of(chunk) + 1, ids.end(), 0.0F);
  return ids;
}

/// Whether every learned word has vectors for encoder `encoder`.
bool fits(const TokenChunk& chunk, size_t encoder, int64_t width) {
  return std::all_of(chunk.learned.begin(), chunk.learned.end(), [&](const auto& each) {
    const std::vector<Tensor>& vectors = each.word->vectors;
    return encoder < vectors.size() && vectors[encoder].shape[1] == width;
  });
}

/// The inputs for a chunk's learned words (models::clip::LearnedInputs), for encoder `encoder`.
std::pair<Tensor, Tensor> learned_of(const TokenChunk& chunk, size_t encoder, int64_t width) {
  Tensor kept({1, kTokens, 1}), vectors({1, kTokens, width});
  std::fill(kept.begin(), kept.end(), 1.0F);
  for (const text::LearnedVectors& each : chunk.learned) {
    const Tensor& word = each.word->vectors[encoder];
    std::fill_n(kept.begin() + each.position, each.word->count(), 0.0F);
    std::copy(word.begin(), word.end(),
              vectors.begin() + static_cast<int64_t>(each.position) * width);
  }
  return {std::move(kept), std::move(vectors)};
}

Tensor end_mark_of(const TokenChunk& chunk) {
  Tensor mark({1, kTokens});
  mark.data[end_of(chunk)] = 1;
  return mark;
}

/// The facts in the order of SGM's conditioners: heights before widths.
Tensor numbers_of(const PictureFacts& facts, bool tells_score) {
  std::vector<float> numbers;
  for (const int64_t number :
       {facts.original_height, facts.original_width, facts.crop_top, facts.crop_left})
    numbers.push_back(static_cast<float>(number));
  if (tells_score) {
    numbers.push_back(static_cast<float>(facts.aesthetic_score));
  } else {
    numbers.push_back(static_cast<float>(facts.target_height));
    numbers.push_back(static_cast<float>(facts.target_width));
  }
  const auto count = static_cast<int64_t>(numbers.size());
  return {{count}, std::move(numbers)};
}

/// Several [1, T, C] side by side along the channels.
Tensor beside(const std::vector<Tensor>& parts) {
  if (parts.size() == 1) return parts[0];
  const int64_t tokens = parts[0].shape[1];
  Tensor all({1, tokens, 0});
  for (const Tensor& part : parts) all.shape[2] += part.shape[2];
  all.data.reserve(static_cast<size_t>(Tensor::count(all.shape)));
  for (int64_t t = 0; t < tokens; ++t) {
    for (const Tensor& part : parts) {
      const float* row = part.begin() + t * part.shape[2];
      all.data.insert(all.data.end(), row, row + part.shape[2]);
    }
  }
  return all;
}

}  // namespace

TextConditioner::TextConditioner(
    engine::Engine& engine, models::stable_diffusion::Config config,
    std::vector<models::stable_diffusion::Bound<models::clip::TextEncoder>> text)
    : engine_(engine), config_(std::move(config)) {
  for (size_t i = 0; i < text.size(); ++i) {
    auto names = models::names::text_adapter_names(text[i].weights, i == 0 ? "text" : "text2");
    encoders_.push_back(
        Encoder{.config = config_.text[i],
                .network = std::move(text[i].network),
                .weights = Weights(engine, std::move(text[i].weights), std::move(names))});
  }
}

std::vector<TextConditioner::Weights*> TextConditioner::weights() {
  std::vector<Weights*> all;
  for (Encoder& encoder : encoders_) all.push_back(&encoder.weights);
  return all;
}

std::string TextConditioner::identity() const {
  std::string identity;
  for (const Encoder& encoder : encoders_) {
    const std::string& one = encoder.weights.identity();
    if (!one.empty()) identity += encoder.weights.names().network() + ' ' + one;
  }
  return identity;
}

bool TextConditioner::release() {
  const bool held = bytes() > 0;
  vectors_.clear();
  for (Encoder& encoder : encoders_) encoder.weights.release();
  return held;
}

uint64_t TextConditioner::bytes() const {
  uint64_t total = 0;
  for (const Encoder& encoder : encoders_) total += encoder.weights.bytes();
  return total;
}

Result<TextConditioner::Encoded> TextConditioner::run(Encoder& encoder, const TokenChunk& chunk,
                                                      const EncodeOptions& options,
                                                      const engine::StopFlag* stop) {
  Weights::Set& set = encoder.weights.current();
  const int64_t clip_skip = config_.heeds_clip_skip ? options.clip_skip : 1;
  const bool learned = !chunk.learned.empty();
  const auto executable =
      set.executables.get({clip_skip, learned}, engine_, set.weights, [&](graph::Graph& graph) {
        models::stable_diffusion::build_text_encoder(graph, encoder.network, encoder.config,
                                                     kTokens, clip_skip, learned);
      });
  if (!executable) return executable.error();
  const bool pools = encoder.config.network.pooled > 0;
  (*executable)->set_input(0, ids_of(chunk, encoder.config.zero_padding));
  if (learned) {
    const auto place = static_cast<size_t>(&encoder - encoders_.data());
    const int64_t width = encoder.config.network.size;
    if (!fits(chunk, place, width))
      return Error{ErrorCode::kInvalidArgument, "a learned word is for another model"};
    const auto [kept, vectors] = learned_of(chunk, place, width);
    (*executable)->set_input(1, kept);
    (*executable)->set_input(2, vectors);
  }
  if (pools) (*executable)->set_input(learned ? 3 : 1, end_mark_of(chunk));
  if (Status done = (*executable)->run(stop); !done) return done.error();
  Encoded encoded{(*executable)->output(0), {}};
  if (pools) encoded.pooled = (*executable)->output(1);
  if (!text::needs_empty(chunk.weights, options.emphasis)) {
    text::emphasise(encoded.states, chunk.weights, options.emphasis);
    return encoded;
  }
  const auto empty = run(encoder, TokenChunk(), options, stop);
  if (!empty) return empty.error();
  text::emphasise(encoded.states, chunk.weights, options.emphasis, empty->states);
  return encoded;
}

Result<Tensor> TextConditioner::vector_of(const Tensor& pooled, const PictureFacts& facts,
                                          const engine::StopFlag* stop) {
  const auto executable = vectors_.get(
      config_.facts, engine_, encoders_.back().weights.base(), [&](graph::Graph& graph) {
        models::stable_diffusion::build_vector(graph, pooled.shape[1], config_.facts);
      });
  if (!executable) return executable.error();
  const Tensor numbers = numbers_of(facts, config_.tells_score());
  auto outputs = engine::run_once(**executable, {&pooled, &numbers}, 1, stop);
  if (!outputs) return outputs.error();
  return std::move((*outputs)[0]);
}

Conditioning TextConditioner::zeros(size_t chunks) const {
  return {.context = Tensor({1, static_cast<int64_t>(chunks) * kTokens, config_.unet.context}),
          .vector = Tensor({1, encoders_.back().config.network.pooled})};
}

Result<Conditioning> TextConditioner::encode(const std::vector<TokenChunk>& chunks,
                                             const EncodeOptions& options,
                                             const engine::StopFlag* stop) {
  const bool told = config_.facts > 0;
  Conditioning joined{.context = Tensor({1, 0, config_.unet.context}), .vector = {}};
  // As SGM and SD WebUI: SDXL was trained with zeros in place of no words.
  if (told && options.negative && std::all_of(chunks.begin(), chunks.end(), &is_empty)) {
    joined = zeros(chunks.size());
  } else {
    for (const TokenChunk& chunk : chunks) {
      std::vector<Tensor> states;
      for (Encoder& encoder : encoders_) {
        auto encoded = run(encoder, chunk, options, stop);
        if (!encoded) return encoded.error();
        states.push_back(std::move(encoded->states));
        // The text in one vector is that of the first chunk, as in SD WebUI.
        if (told && joined.vector.shape.empty()) joined.vector = std::move(encoded->pooled);
      }
      const Tensor row = beside(states);
      joined.context.data.insert(joined.context.data.end(), row.begin(), row.end());
      joined.context.shape[1] += kTokens;
    }
  }
  if (!told) return joined;
  auto vector = vector_of(joined.vector, options.facts, stop);
  if (!vector) return vector.error();
  joined.vector = std::move(*vector);
  return joined;
}

}  // namespace safelight::pipelines
