#include "models/taesd/taesd.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <functional>

namespace safelight::models::taesd {

using nn::Graph;
using nn::Value;

namespace {

constexpr std::array kBlocks = {3, 3, 3, 1};  // at each resolution
constexpr int64_t kMaxWidth = 4096;
constexpr std::string_view kFirst = "1.weight", kLast = "19.weight";

/// Names are "PLACE.rest"; diffusers has no place for the layer without weights that comes first.
std::string in_diffusers(const std::string& name) {
  int64_t place = 0;
  const auto [rest, failure] = std::from_chars(name.data(), name.data() + name.size(), place);
  return fmt::format("decoder.layers.{}{}", place - 1, rest);
}

using Dialect = std::function<std::string(const std::string& name)>;

/// How the file names the tensors; null when they are not there.
Dialect dialect_of(const weights::TensorIndex& index) {
  for (const std::string_view prefix : {"", "taesd_decoder.", "decoder."}) {
    const auto name = [prefix](const std::string& own) { return std::string(prefix) + own; };
    // A block's names are no other network's.
    if (index.contains(name(std::string(kFirst))) && index.contains(name("3.conv.4.weight")) &&
        index.contains(name(std::string(kLast))))
      return name;
  }
  if (index.contains(in_diffusers(std::string(kFirst))) &&
      index.contains(in_diffusers("3.conv.4.weight")))
    return in_diffusers;
  return nullptr;
}

}  // namespace

Value Block::operator()(Graph& graph, Value x) const {
  const auto relu = [&](Value value) { return graph.unary(graph::Op::kRelu, value); };
  const Value h = conv4(graph, relu(conv2(graph, relu(conv0(graph, x)))));
  return relu(graph.add(h, x));
}

Decoder::Decoder(const Config& sizes)
    : config(sizes),
      conv_in(sizes.latent_channels, sizes.channels, 3),
      conv_out(sizes.channels, 3, 3) {
  for (size_t i = 0; i < kBlocks.size(); ++i) {
    Stage stage;
    for (int j = 0; j < kBlocks[i]; ++j) stage.blocks.emplace_back(sizes.channels);
    if (i + 1 < kBlocks.size())
      stage.doubling = DoublingConv{{"", {sizes.channels, sizes.channels, 3, 3}}};
    stages.push_back(std::move(stage));
  }
}

Value Decoder::operator()(Graph& graph, Value latent) const {
  constexpr float kReach = 3;  // latents beyond are drawn in softly
  const Value inside = graph.unary(graph::Op::kTanh, graph.affine(latent, 1 / kReach, 0));
  Value x = conv_in(graph, graph.affine(inside, kReach, 0));
  x = graph.unary(graph::Op::kRelu, x);
  for (const Stage& stage : stages) {
    for (const Block& block : stage.blocks) x = block(graph, x);
    if (!stage.doubling) continue;
    x = graph.upsample_nearest(x, 2);  // [B, C, 2 h, 2 w]
    x = graph.conv2d(x, nn::use(graph, stage.doubling->weight), {},
                     {.stride = {1, 1}, .padding = graph::Padding::same(1)});
  }
  return graph.affine(conv_out(graph, x), 2, -1);  // from [0, 1]
}

bool matches(const weights::TensorIndex& index) { return dialect_of(index) != nullptr; }

Result<Model> bind(const weights::TensorIndex& index) {
  const Dialect name_in_file = dialect_of(index);
  if (!name_in_file) {
    return Error{ErrorCode::kUnsupported,
                 "these are not the tensors of a tiny autoencoder's decoder (TAESD); a file like "
                 "taesd_decoder.safetensors is needed"};
  }
  const std::string first = name_in_file(std::string(kFirst));
  const std::vector<int64_t>& shape = index.find(first)->shape;
  const auto fits = [](int64_t size) { return size >= 1 && size <= kMaxWidth; };
  if (shape.size() != 4 || !fits(shape[0]) || !fits(shape[1])) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' has a shape that no TAESD decoder has", first)};
  }
  Decoder decoder({.channels = shape[0], .latent_channels = shape[1]});
  auto bound = weights::bind(nn::name_params(decoder, ""), index, name_in_file, "a TAESD decoder");
  if (!bound) return bound.error();
  if (!index.identity.empty()) bound->identity = index.identity + "-taesd";
  return Model{std::move(decoder), std::move(*bound)};
}

}  // namespace safelight::models::taesd
