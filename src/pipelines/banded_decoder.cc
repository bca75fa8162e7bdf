#include "pipelines/banded_decoder.h"

#include <algorithm>

#include "models/stable_diffusion/graphs.h"
#include "pipelines/bands.h"

namespace safelight::pipelines {
namespace {

using engine::StopFlag;
using graph::Graph;
using graph::Numerics;
using graph::Value;
using models::autoencoder_kl::Level;

/// The decoder's levels behind which bands begin, the first that fits; the larger, the less runs
/// whole.
constexpr size_t kLevels[] = {1, 2, 3};
/// Rows of the input that a band is used for, the first that fits. Fewer cost more overlap.
constexpr int64_t kUsefulRows[] = {64, 32, 16, 8, 4, 2, 1};

/// Rows [height * width, C] as the image that they are in memory.
Value image_of_rows(Graph& graph, Value rows, int64_t width) {
  const graph::Shape size = graph.shape(rows);
  return graph.permute(graph.reshape(rows, {1, size[0] / width, width, size[1]}), {0, 3, 1, 2});
}

Value rows_of_image(Graph& graph, Value image) {
  const graph::Shape size = graph.shape(image);
  return graph.reshape(graph.permute(image, {0, 2, 3, 1}), {size[2] * size[3], size[1]});
}

/// [1, C, H, W] -> [H, groups, 2], those of each row.
Value row_statistics(Graph& graph, Value image, int64_t groups) {
  return graph.group_statistics(graph.permute(image, {2, 1, 0, 3}), groups);
}

/// Gathers the statistics of rows of equal size.
class RowMoments {
 public:
  void add(const Tensor& rows, int64_t first, int64_t count) {
    groups_ = static_cast<size_t>(rows.shape[1]);
    means_.resize(groups_);
    squares_.resize(groups_);
    for (int64_t row = first; row < first + count; ++row) {
      const float* values = rows.begin() + row * rows.shape[1] * 2;
      for (size_t g = 0; g < groups_; ++g) {
        const double mean = values[2 * g];
        means_[g] += mean;
        squares_[g] += values[2 * g + 1] + mean * mean;
      }
    }
    rows_ += static_cast<double>(count);
  }

  /// Of all rows, [1, groups, 2].
  Tensor statistics() const {
    Tensor result({1, static_cast<int64_t>(groups_), 2});
    for (size_t g = 0; g < groups_; ++g) {
      const double mean = means_[g] / rows_;
      result.data[2 * g] = static_cast<float>(mean);
      result.data[2 * g + 1] = static_cast<float>(std::max(0.0, squares_[g] / rows_ - mean * mean));
    }
    return result;
  }

 private:
  size_t groups_ = 0;
  double rows_ = 0;
  std::vector<double> means_, squares_;
};

/// Channels-last rows of the whole picture -> [1, C, H, W].
Result<Tensor> picture_of(const FeatureStore& store) {
  const int64_t height = store.rows(), width = store.width(), channels = store.channels();
  const auto rows = store.read(0, height);
  if (!rows) return rows.error();
  Tensor picture({1, channels, height, width});
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < height * width; ++i)
      picture.data[c * height * width + i] = rows->data[i * channels + c];
  }
  return picture;
}

}  // namespace

Result<Tensor> BandedDecoder::decode(const Tensor& latent, const StopFlag* stop) {
  Error refused;
  for (size_t level : kLevels) {
    if (level >= network_.decoder.up.size()) break;
    auto small = head(latent, level, stop);
    if (!small && small.error().code == ErrorCode::kOutOfMemory) {
      refused = small.error();
      continue;
    }
    if (!small) return small.error();
    auto features = run_level(--level, *small, stop);
    while (features && level > 0) features = run_level(--level, features->store, stop);
    if (!features) return features.error();
    return finish(*features, stop);
  }
  return refused;
}

Result<Tensor> BandedDecoder::finish(const Features& features, const StopFlag* stop) {
  const FeatureStore& store = features.store;
  auto picture =
      FeatureStore::make(engine_, store.rows(), store.width(), network_.config.image_channels);
  if (!picture) return picture.error();
  const auto build = [&](Graph& graph, Value x, Value, Value given) {
    return Built{{network_.decoder.finish(graph, x, given)}, {}};
  };
  const auto drawn = run(
      {.input = &store, .statistics = &features.statistics, .outputs = {&*picture}, .build = build},
      stop);
  if (!drawn) return drawn.error();
  return picture_of(*picture);
}

Result<FeatureStore> BandedDecoder::head(const Tensor& latent, size_t level, const StopFlag* stop) {
  Graph graph;
  const Value features = models::stable_diffusion::build_decoder_head(
      graph, network_, latent.shape[2], latent.shape[3], level);
  const graph::Shape size = graph.shape(features);
  graph.output("features", rows_of_image(graph, features));
  auto executable = engine_.compile(graph, weights_);
  if (!executable) return executable.error();
  auto outputs = engine::run_once(**executable, {&latent}, 1, stop);
  if (!outputs) return outputs.error();
  executable->reset();
  auto store = FeatureStore::make(engine_, size[2], size[3], size[1]);
  if (!store) return store.error();
  if (Status kept = store->write(0, size[2], (*outputs)[0], 0); !kept) return kept.error();
  return store;
}

Result<BandedDecoder::Features> BandedDecoder::run_level(size_t level, const FeatureStore& below,
                                                         const StopFlag* stop) {
  const Level& parts = network_.decoder.up[level];
  const nn::Upsample& upsample = *network_.decoder.up[level + 1].upsample;
  const int64_t channels = parts.block[0].conv1.weight.shape[0];
  auto hidden = FeatureStore::make(engine_, 2 * below.rows(), 2 * below.width(), channels);
  if (!hidden) return hidden.error();
  auto features = FeatureStore::make(engine_, 2 * below.rows(), 2 * below.width(), channels);
  if (!features) return features.error();

  // The up-sampled features are the largest of all: they are computed twice, never stored.
  auto statistics = run({.input = &below,
                         .scale = 2,
                         .build =
                             [&](Graph& graph, Value x, Value, Value) {
                               return Built{{}, upsample(graph, x)};
                             }},
                        stop);
  for (size_t j = 0; j < parts.block.size() && statistics; ++j) {
    const nn::ResBlock& block = parts.block[j];
    const auto first_half = [&](Graph& graph, Value x, Value, Value given) {
      if (j > 0) {
        const Value h = block.first(graph, x, given);
        return Built{{h}, h};
      }
      x = upsample(graph, x);
      const Value h = block.first(graph, x, given);
      return Built{{h, block.skip(graph, x)}, h};
    };
    Stage stage{.input = j > 0 ? &*features : &below,
                .statistics = &*statistics,
                .scale = j > 0 ? 1 : 2,
                .outputs = {&*hidden},
                .build = first_half};
    if (j == 0) stage.outputs.push_back(&*features);
    statistics = run(stage, stop);
    if (!statistics) break;
    statistics = run({.input = &*hidden,
                      .beside = &*features,
                      .statistics = &*statistics,
                      .outputs = {&*features},
                      .build =
                          [&](Graph& graph, Value h, Value skip, Value given) {
                            const Value x = graph.add(skip, block.second(graph, h, given));
                            return Built{{x}, x};
                          }},
                     stop);
  }
  if (!statistics) return statistics.error();
  return Features{std::move(*features), std::move(*statistics)};
}

Result<Tensor> BandedDecoder::run(const Stage& stage, const StopFlag* stop) {
  Result<Tensor> result = Tensor();
  for (const int64_t useful : kUsefulRows) {
    result = run_bands(stage, useful, stop);
    if (result || result.error().code != ErrorCode::kOutOfMemory) break;
  }
  return result;
}

Result<Tensor> BandedDecoder::run_bands(const Stage& stage, int64_t useful, const StopFlag* stop) {
  const FeatureStore& input = *stage.input;
  const Bands bands = Bands::cut(input.rows(), useful, 1);
  const int64_t groups = network_.decoder.norm_out.groups;
  Graph graph;
  const Value x = graph.input("input", {bands.height * input.width(), input.channels()});
  Value beside, statistics;
  if (stage.beside) {
    const int64_t rows = bands.height * stage.scale * stage.beside->width();
    beside = image_of_rows(graph, graph.input("beside", {rows, stage.beside->channels()}),
                           stage.beside->width());
  }
  if (stage.statistics) statistics = graph.input("statistics", {1, groups, 2}, Numerics::kF32);
  const Built built =
      stage.build(graph, image_of_rows(graph, x, input.width()), beside, statistics);
  for (size_t i = 0; i < built.stored.size(); ++i)
    graph.output("stored." + std::to_string(i), rows_of_image(graph, built.stored[i]));
  if (built.measured.valid())
    graph.output("measured", row_statistics(graph, built.measured, groups));
  auto executable = engine_.compile(graph, weights_);
  if (!executable) return executable.error();

  if (stage.statistics) (*executable)->set_input(stage.beside ? 2 : 1, *stage.statistics);
  RowMoments moments;
  for (int64_t i = 0; i < bands.count; ++i) {
    const int64_t origin = bands.origin(i), first = (bands.begin(i) - origin) * stage.scale,
                  count = (bands.begin(i + 1) - bands.begin(i)) * stage.scale;
    const auto band = input.read(origin, bands.height);
    if (!band) return band.error();
    (*executable)->set_input(0, *band);
    if (stage.beside) {
      const auto rows = stage.beside->read(origin * stage.scale, bands.height * stage.scale);
      if (!rows) return rows.error();
      (*executable)->set_input(1, *rows);
    }
    if (Status done = (*executable)->run(stop); !done) return done.error();
    for (size_t k = 0; k < stage.outputs.size(); ++k) {
      const Status kept = stage.outputs[k]->write(bands.begin(i) * stage.scale, count,
                                                  (*executable)->output(k), first);
      if (!kept) return kept.error();
    }
    if (built.measured.valid())
      moments.add((*executable)->output(built.stored.size()), first, count);
  }
  return moments.statistics();
}

}  // namespace safelight::pipelines
