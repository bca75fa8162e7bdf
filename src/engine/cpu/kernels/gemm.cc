#include "engine/cpu/kernels/gemm.h"

#include <algorithm>
#include <type_traits>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/gemm_tiles.h"
#include "engine/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/cpu/kernels/gemm.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway demands.
#include "engine/cpu/kernels/file_weights-inl.h"
#include "engine/cpu/kernels/tile_product-inl.h"

#ifndef SAFELIGHT_GEMM_ONCE
#define SAFELIGHT_GEMM_ONCE
namespace safelight::engine::cpu {

static_assert(kMaxFilterTaps <= GemmTiles::kDepth);
constexpr int64_t kMaxColumns = 320;  // of a task

/// Channels of x that are multiplied at a time: with all taps no more than kDepth numbers, in equal
/// parts of whole vectors where there are so many.
inline int64_t channels_at_once(int64_t channels, int64_t taps) {
  int64_t most = GemmTiles::kDepth / taps;
  if (most < 8) return std::min(most, channels);
  most -= most % 8;
  const int64_t pieces = (channels + most - 1) / most;
  return (channels + 8 * pieces - 1) / (8 * pieces) * 8;
}

inline bool few_rows(const Gemm& args) {
  return !args.filter && args.out.rows <= GemmTiles::kFewRows;
}

inline bool stopped(const Gemm& args) {
  return args.stop && args.stop->load(std::memory_order_relaxed);
}

/// Bias, operations and storage of columns [column, column + n) of a row, whose sums may be
/// changed.
inline void finish_row(const Gemm& args, int64_t row, int64_t column, int64_t n, float* sums) {
  float block[kMaxColumns];
  const Buffer out = args.out.buffer.at(row * args.out.stride + column);
  float* result = target_f32(out, sums);
  size_t steps = (args.bias ? 1 : 0) + args.after.size();
  const auto next = [&] { return --steps == 0 ? result : sums; };
  if (steps == 0 && result != sums) std::copy_n(sums, n, result);
  if (args.bias) combine(BinaryFunction::kAdd, sums, 1, args.bias + column, 1, next(), n);
  for (const RowOperation& operation : args.after) {
    if (operation.addend.data) {
      const Buffer addend = operation.addend.at(row * operation.stride + column);
      combine(BinaryFunction::kAdd, sums, 1, read_f32(addend, n, block), 1, next(), n);
    } else {
      apply(operation.unary, sums, next(), n);
    }
  }
  write_f32(out, n, sums);
}

}  // namespace safelight::engine::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

constexpr int64_t kVector = hn::MaxLanes(D());
constexpr int64_t kPanelWidth = 2 * kVector;

/// Calls body(format) with the weight's format as a constant.
template <class Body>
HWY_INLINE void WithFormat(WeightFormat format, Body body) {
  switch (format) {
    case WeightFormat::kF32:
      return body(std::integral_constant<WeightFormat, WeightFormat::kF32>());
    case WeightFormat::kF16:
      return body(std::integral_constant<WeightFormat, WeightFormat::kF16>());
    case WeightFormat::kBF16:
      return body(std::integral_constant<WeightFormat, WeightFormat::kBF16>());
  }
}

/// One panel of columns for rows of x that stand kDepth apart.
HWY_INLINE void MultiplyRows(int64_t rows, const float* x, const float* panel, int64_t depth,
                             float* sums, int64_t stride, bool add) {
  using Left = LeftLayout<GemmTiles::kDepth, 1>;
  constexpr int kTile = register_rows(2), kThird = kTile / 3, kTwoThirds = 2 * kThird;
  int64_t r = 0;
  const auto tile = [&](auto tile_rows) {
    MultiplyTile<Left, 2, tile_rows()>(x + r * Left::kRow, panel, depth, sums + r * stride, stride,
                                       add);
  };
  for (; r + kTwoThirds < rows; r += kTile) tile(std::integral_constant<int, kTile>());
  if (r + kThird < rows) {
    tile(std::integral_constant<int, kTwoThirds>());
  } else if (r < rows) {
    tile(std::integral_constant<int, kThird>());
  }
}

/// A task's memory and place in the product.
struct Block {
  float *panels, *x, *sums;
  int64_t sum_stride;
  int64_t first_row, rows, first_column, columns;
};

Block BlockOf(const Gemm& args, const GemmTiles& tiles, int64_t task, float* scratch) {
  Block b{};
  b.panels = scratch;
  b.x = b.panels + GemmTiles::kDepth * tiles.column_block;
  b.sums = b.x + GemmTiles::kDepth * GemmTiles::kRows;
  b.sum_stride = tiles.sum_stride();
  b.first_row = task / tiles.column_blocks * tiles.row_block;
  b.rows = std::min(tiles.row_block, args.out.rows - b.first_row);
  b.first_column = task % tiles.column_blocks * tiles.column_block;
  b.columns = std::min(tiles.column_block, args.out.columns - b.first_column);
  return b;
}

HWY_INLINE void CopyFloats(Buffer from, int64_t n, float* to) {
  const D d;
  const float* floats = read_f32(from, n, to);
  if (floats == to) return;
  int64_t i = 0;
  for (; i + kVector <= n; i += kVector) hn::StoreU(hn::LoadU(d, floats + i), d, to + i);
  for (; i < n; ++i) to[i] = floats[i];
}

/// What stands under the filter at one pixel of the result, tap by tap.
void CopyTaps(const Gemm& args, const Filter& f, int64_t pixel, int64_t first, int64_t channels,
              float* to) {
  const int64_t area = f.out_height * f.out_width, image = pixel / area,
                top = pixel % area / f.out_width * f.stride_y - f.top,
                left = pixel % f.out_width * f.stride_x - f.left;
  for (int64_t tap = 0; tap < f.taps(); ++tap, to += channels) {
    const int64_t y = top + tap / f.columns * f.dilation_y,
                  x = left + tap % f.columns * f.dilation_x;
    if (y < 0 || y >= f.height * f.upsample || x < 0 || x >= f.width * f.upsample) {
      std::fill_n(to, channels, 0.0F);
    } else {
      const int64_t row = (image * f.height + y / f.upsample) * f.width + x / f.upsample;
      CopyFloats(args.x.buffer.at(row * args.x.stride + first), channels, to);
    }
  }
}

void CopyRows(const Gemm& args, int64_t first_row, int64_t rows, int64_t first, int64_t channels,
              float* to) {
  for (int64_t row = first_row; row < first_row + rows; ++row, to += GemmTiles::kDepth) {
    if (args.filter) {
      CopyTaps(args, *args.filter, row, first, channels, to);
    } else {
      CopyFloats(args.x.buffer.at(row * args.x.stride + first), channels, to);
    }
  }
}

/// Rows of a panel by columns of the weight: all channels of the first tap, of the second...
void OrderByTap(int64_t channels, int64_t taps, int64_t* order) {
  for (int64_t k = 0; k < channels * taps; ++k) order[k] = k % taps * channels + k / taps;
  for (int64_t k = channels * taps; k % 8 != 0; ++k) order[k] = k;
}

void WidenPanels(const Gemm& args, const Block& b, int64_t first, int64_t channels,
                 int64_t panel_depth) {
  const int64_t taps = args.filter ? args.filter->taps() : 1;
  int64_t order[GemmTiles::kDepth];
  if (taps > 1) OrderByTap(channels, taps, order);
  WithFormat(args.weight.format, [&](auto format) {
    for (int64_t c = 0; c < b.columns; c += kPanelWidth) {
      WidenPanel<format()>(args.weight, b.first_column + c, first * taps, channels * taps,
                           taps > 1 ? order : nullptr, b.panels + c * panel_depth, kPanelWidth);
    }
  });
}

/// The weight's part is widened once for all rows of the task; the rows are taken a few at a time,
/// each then multiplied with one panel after the other while the panel is in the L1 cache.
void MultiplyBlock(const Gemm& args, const GemmTiles& tiles, int64_t task, float* scratch) {
  const Block b = BlockOf(args, tiles, task, scratch);
  const int64_t taps = args.filter ? args.filter->taps() : 1, channels = args.x.columns;
  const int64_t piece = channels_at_once(channels, taps);
  const int64_t panel_depth = (piece * taps + 7) / 8 * 8;
  for (int64_t channel = 0; channel < channels; channel += piece) {
    if (stopped(args)) return;
    const int64_t part = std::min(piece, channels - channel);
    WidenPanels(args, b, channel, part, panel_depth);
    for (int64_t first = 0; first < b.rows; first += GemmTiles::kRows) {
      if (stopped(args)) return;
      const int64_t rows = std::min(GemmTiles::kRows, b.rows - first);
      CopyRows(args, b.first_row + first, rows, channel, part, b.x);
      float* sums = b.sums + first * b.sum_stride;
      for (int64_t c = 0; c < b.columns; c += kPanelWidth) {
        MultiplyRows(rows, b.x, b.panels + c * panel_depth, part * taps, sums + c, b.sum_stride,
                     channel > 0);
      }
      if (channel + part < channels) continue;
      for (int64_t r = 0; r < rows; ++r) {
        finish_row(args, b.first_row + first + r, b.first_column, b.columns,
                   sums + r * b.sum_stride);
      }
    }
  }
}

/// The scalar products of kRows rows of x with kColumns rows of the weight.
template <WeightFormat kFormat, int kRows, int kColumns>
HWY_INLINE void Dot(const float* x, const std::byte* weight, int64_t depth, float* sums) {
  const D d;
  V products[kRows][kColumns];
  const auto multiply = [&](const float* left, int64_t left_stride, const std::byte* right,
                            int64_t right_stride) HWY_ATTR {
    V w[kColumns];
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) w[c] = LoadWeights<kFormat>(d, right + c * right_stride);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const V value = hn::LoadU(d, left + r * left_stride);
#pragma GCC unroll 4
      for (int c = 0; c < kColumns; ++c) products[r][c] = hn::MulAdd(value, w[c], products[r][c]);
    }
  };
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) products[r][c] = hn::Zero(d);
  }
  int64_t k = 0;
  for (; k + kVector <= depth; k += kVector) {
    multiply(x + k, depth, weight + k * kSize<kFormat>, depth * kSize<kFormat>);
  }
  if (k < depth) {
    float left[kRows][kVector] = {};
    std::byte right[kColumns][kVector * sizeof(float)] = {};
    for (int r = 0; r < kRows; ++r) std::copy_n(x + r * depth + k, depth - k, left[r]);
    for (int c = 0; c < kColumns; ++c) {
      std::memcpy(right[c], weight + (c * depth + k) * kSize<kFormat>,
                  static_cast<size_t>((depth - k) * kSize<kFormat>));
    }
    multiply(left[0], kVector, right[0], kVector * static_cast<int64_t>(sizeof(float)));
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) {
      sums[r * kMaxColumns + c] = hn::GetLane(hn::SumOfLanes(d, products[r][c]));
    }
  }
}

/// Columns [first, first + count) for kRows dense rows of x: bound by reading the weight.
template <WeightFormat kFormat, int kRows>
void DotColumns(const FileMatrix& weight, const float* x, int64_t first, int64_t count,
                float* sums) {
  constexpr int kColumns = kRows <= 2 ? 4 : 2;
  const int64_t depth = weight.columns;
  const std::byte* data = weight.data + first * depth * kSize<kFormat>;
  int64_t c = 0;
  for (; c + kColumns <= count; c += kColumns) {
    Dot<kFormat, kRows, kColumns>(x, data + c * depth * kSize<kFormat>, depth, sums + c);
  }
  for (; c < count; ++c) {
    Dot<kFormat, kRows, 1>(x, data + c * depth * kSize<kFormat>, depth, sums + c);
  }
}

void MultiplyFewRows(const Gemm& args, const float* x, int64_t first, int64_t count) {
  float sums[GemmTiles::kFewRows][kMaxColumns];
  WithFormat(args.weight.format, [&](auto format) {
    switch (args.out.rows) {
      case 1:
        return DotColumns<format(), 1>(args.weight, x, first, count, sums[0]);
      case 2:
        return DotColumns<format(), 2>(args.weight, x, first, count, sums[0]);
      case 3:
        return DotColumns<format(), 3>(args.weight, x, first, count, sums[0]);
      default:
        return DotColumns<format(), 4>(args.weight, x, first, count, sums[0]);
    }
  });
  for (int64_t r = 0; r < args.out.rows; ++r) finish_row(args, r, first, count, sums[r]);
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <omp.h>

#include "engine/cpu/kernels/parallel.h"

namespace safelight::engine::cpu {
namespace {

HWY_EXPORT(MultiplyBlock);
HWY_EXPORT(MultiplyFewRows);

int64_t task_floats(const GemmTiles& tiles) { return (tiles.scratch_floats() + 15) / 16 * 16; }

void multiply_few_rows(const Gemm& args, float* x) {
  const int64_t rows = args.out.rows, depth = args.x.columns;
  for (int64_t r = 0; r < rows; ++r) {
    float* to = x + r * depth;
    const float* from = read_f32(args.x.buffer.at(r * args.x.stride), depth, to);
    if (from != to) std::copy_n(from, depth, to);
  }
  constexpr int64_t kGrain = 1 << 15;  // products of a thread that are worth starting it
  parallel_for(args.out.columns, std::max<int64_t>(1, kGrain / (rows * depth)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t c = begin; c < end && !stopped(args); c += kMaxColumns) {
                   HWY_DYNAMIC_DISPATCH(MultiplyFewRows)
                   (args, x, c, std::min(kMaxColumns, end - c));
                 }
               });
}

}  // namespace

size_t gemm_scratch(const Gemm& args, int threads) {
  const int64_t floats =
      few_rows(args) ? args.out.rows * args.x.columns
                     : threads * task_floats(gemm_tiles(args.out.rows, args.out.columns, threads));
  return static_cast<size_t>(floats) * sizeof(float);
}

void gemm(const Gemm& args, void* scratch, int threads) {
  auto* floats = static_cast<float*>(scratch);
  if (few_rows(args)) return multiply_few_rows(args, floats);
  const GemmTiles tiles = gemm_tiles(args.out.rows, args.out.columns, threads);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (tiles.tasks() > 1)
  for (int64_t task = 0; task < tiles.tasks(); ++task) {
    HWY_DYNAMIC_DISPATCH(MultiplyBlock)
    (args, tiles, task, floats + omp_get_thread_num() * task_floats(tiles));
  }
}

}  // namespace safelight::engine::cpu
#endif  // HWY_ONCE
