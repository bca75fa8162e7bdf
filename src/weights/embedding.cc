#include "weights/embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "weights/convert.h"
#include "weights/messages.h"
#include "weights/open_weights.h"

namespace safelight::weights {
namespace {

constexpr std::string_view kWebui = "string_to_param.", kSafetensors = "emb_params";
constexpr std::string_view kFirst = "clip_l", kSecond = "clip_g", kBundle = "bundle_emb.";

/// Tensors of one embedding by their names in it.
using Tensors = std::map<std::string_view, const TensorView*>;

Result<Tensor> read_vectors(std::string_view name, const TensorView& tensor) {
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::kCorruptFile, fmt::format("tensor '{}' {}", printable(name), what)};
  };
  std::vector<int64_t> shape = tensor.shape;
  if (shape.size() == 1) shape.insert(shape.begin(), 1);
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1) {
    return bad(fmt::format("has shape {}; a textual inversion has [vectors, width]",
                           shape_text(tensor.shape)));
  }
  if (shape[0] > kMaxEmbeddingVectors) {
    return bad(fmt::format("has {} vectors; at most {} fit a run of the text encoder", shape[0],
                           kMaxEmbeddingVectors));
  }
  if (!graph::is_floating(tensor.dtype))
    return bad(fmt::format("is of type {}; numbers with fractions are needed",
                           graph::dtype_name(tensor.dtype)));
  if (has_non_finite(tensor)) return bad("has values that are not finite; the file is damaged");
  Tensor vectors = to_tensor(tensor);
  vectors.shape = std::move(shape);
  return vectors;
}

/// The name under which an embedding's tensors are kept, of the one that a file has for it.
std::string_view part_of(std::string_view name) {
  return name == kFirst || name == kSecond ? name : "";
}

Result<Embedding> read(const Tensors& tensors) {
  Embedding embedding;
  for (const auto& [name, tensor] : tensors) {
    auto vectors = read_vectors(name, *tensor);
    if (!vectors) return vectors.error();
    const auto [entry, is_new] = embedding.vectors.emplace(part_of(name), std::move(*vectors));
    if (!is_new) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("teaches several words, '{}' one of them; one a file is possible",
                               printable(name))};
    }
    if (entry->second.shape[0] != embedding.count()) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("has {} vectors in '{}' and {} in '{}'; both must have as many",
                               embedding.count(), embedding.vectors.begin()->first,
                               entry->second.shape[0], printable(name))};
    }
  }
  if (embedding.vectors.size() > 1 && embedding.vectors.contains("")) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("has other tensors beside '{}' or '{}'", kFirst, kSecond)};
  }
  return embedding;
}

std::string text_in(const TensorIndex& index, std::string_view key) {
  const auto found = index.metadata.find(key);
  return found == index.metadata.end() ? "" : printable(found->second);
}

void add_facts(const TensorIndex& index, Embedding& embedding) {
  embedding.name = text_in(index, "name");
  embedding.checkpoint = text_in(index, "sd_checkpoint_name");
  const std::string step = text_in(index, "step");
  int64_t number = 0;
  const auto [end, failure] = std::from_chars(step.data(), step.data() + step.size(), number);
  if (failure == std::errc() && end == step.data() + step.size()) embedding.step = number;
}

/// What a width of tokens tells of the models that have it.
std::string_view models_of(int64_t width) {
  switch (width) {
    case 768:
      return "SD 1.x";
    case 1024:
      return "SD 2.x";
    case 1280:
      return "SDXL's refiner";
    case 2048:
      return "SDXL";
    default:
      return "another model";
  }
}

}  // namespace

int64_t Embedding::width() const {
  int64_t sum = 0;
  for (const auto& [part, tensor] : vectors) sum += tensor.shape[1];
  return sum;
}

Result<Embedding> read_embedding(const TensorIndex& index) {
  Tensors tensors;
  for (const auto& [name, tensor] : index) tensors.emplace(name, &tensor);
  const auto is_word = [](const auto& entry) {
    const std::string_view name = entry.first;
    return name == kFirst || name == kSecond || name == kSafetensors || name.starts_with(kWebui);
  };
  // diffusers' form is told by having nothing else: a word is any text.
  const bool known = std::all_of(tensors.begin(), tensors.end(), is_word);
  if (tensors.empty() || (!known && tensors.size() > 1)) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("is no textual inversion: it has {} tensors{}", tensors.size(),
                             tensors.empty() ? ""
                                             : fmt::format(", '{}' one of them",
                                                           printable(tensors.begin()->first)))};
  }
  auto embedding = read(tensors);
  if (embedding) add_facts(index, *embedding);
  return embedding;
}

Result<std::map<std::string, Embedding, std::less<>>> read_bundled_embeddings(
    const TensorIndex& index) {
  std::map<std::string, Tensors, std::less<>> by_name;
  for (const auto& [name, tensor] : index) {
    if (!name.starts_with(kBundle)) continue;
    const std::string_view rest = std::string_view(name).substr(kBundle.size());
    // The word may have dots; what stands behind it has none that we do not know.
    size_t end = rest.rfind(fmt::format(".{}", kWebui));
    if (end == std::string_view::npos) end = rest.rfind('.');
    const std::string_view part = end == std::string_view::npos ? "" : rest.substr(end + 1);
    if (part != kFirst && part != kSecond && !part.starts_with(kWebui)) continue;
    by_name[std::string(rest.substr(0, end))].emplace(part, &tensor);
  }
  std::map<std::string, Embedding, std::less<>> embeddings;
  for (const auto& [name, tensors] : by_name) {
    auto embedding = read(tensors);
    if (!embedding)
      return embedding.error().in(fmt::format("bundled embedding '{}'", printable(name)));
    embeddings.emplace(name, std::move(*embedding));
  }
  return embeddings;
}

Result<Embedding> open_embedding(const std::filesystem::path& path) {
  const std::string file = path.filename().string(),
                    ending = ascii_lower(path.extension().string());
  for (const std::string_view picture : {".png", ".webp", ".jxl", ".avif", ".jpg", ".jpeg"}) {
    if (ending == picture) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{} is a picture; embeddings inside pictures are not read: save it "
                               "as .pt or .safetensors",
                               printable(file))};
    }
  }
  const auto index = open_weights(path);
  if (!index) return index.error();
  auto embedding = read_embedding(*index);
  if (!embedding) return embedding.error().in(file);
  return embedding;
}

int64_t text_width(const std::filesystem::path& checkpoint) {
  const auto index = open_weights(checkpoint);
  if (!index) return 0;
  int64_t sum = 0;
  for (const auto& [name, tensor] : *index) {
    if (name.ends_with("token_embedding.weight") && tensor.shape.size() == 2)
      sum += tensor.shape[1];
  }
  return sum;
}

Result<std::vector<Tensor>> vectors_for(const Embedding& embedding,
                                        const std::vector<int64_t>& widths) {
  const auto of = [&](std::string_view part) {
    const auto found = embedding.vectors.find(part);
    return found == embedding.vectors.end() ? nullptr : &found->second;
  };
  // SDXL has both encoders, its refiner the second alone.
  std::vector<const Tensor*> parts;
  if (widths.size() == 1) parts = {of("") != nullptr ? of("") : of(kSecond)};
  if (widths.size() == 2) parts = {of(kFirst), of(kSecond)};
  std::vector<Tensor> vectors;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] != nullptr && parts[i]->shape[1] == widths[i]) vectors.push_back(*parts[i]);
  }
  if (vectors.size() == widths.size()) return vectors;
  return Error{
      ErrorCode::kUnsupported,
      fmt::format("is for {} (vectors of {} numbers); this model's have {}",
                  models_of(embedding.width()), embedding.width(), fmt::join(widths, " and "))};
}

}  // namespace safelight::weights
