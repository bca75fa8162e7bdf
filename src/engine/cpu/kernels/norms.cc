#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/parallel.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kGrain = 8192;  // elements below which a second thread costs more than it gains
constexpr int64_t kPositionsPerChunk =
    64;  // of a group norm: sums stay in float32 within a chunk, double beyond

int64_t rows_per_piece(const Rows& x) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(x.columns, 1));
}

/// Calls body(buffer position, first column, count) for the blocks of a row, in order.
template <class Body>
void for_each_block(const Rows& x, int64_t row, Body body) {
  for (int64_t c = 0; c < x.columns; c += kBlock) {
    body(x.buffer.at(row * x.stride + c), c, std::min(kBlock, x.columns - c));
  }
}

/// out[r] = (x[r] - mean) * scale * weight + bias, block by block.
void write_normalised(const Rows& x, const Rows& out, int64_t row, float mean, float scale,
                      const float* weight, const float* bias) {
  float in[kBlock], result[kBlock];
  for_each_block(x, row, [&](Buffer from, int64_t c, int64_t n) {
    const Buffer to = out.buffer.at(row * out.stride + c);
    normalise(read_f32(from, n, in), mean, scale, weight ? weight + c : nullptr,
              bias ? bias + c : nullptr, target_f32(to, result), n);
    write_f32(to, n, result);
  });
}

double row_sum(const Rows& x, int64_t row) {
  float block[kBlock];
  double total = 0;
  for_each_block(
      x, row, [&](Buffer from, int64_t, int64_t n) { total += sum(read_f32(from, n, block), n); });
  return total;
}

double row_squares(const Rows& x, int64_t row, float mean) {
  float block[kBlock];
  double total = 0;
  for_each_block(x, row, [&](Buffer from, int64_t, int64_t n) {
    total += sum_of_squares(read_f32(from, n, block), mean, n);
  });
  return total;
}

/// Count, mean and sum of squared differences of a set, and their merging (Chan et al. 1979).
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count, delta = other.mean - mean;
    mean += delta * other.count / total;
    squares += other.squares + delta * delta * count * other.count / total;
    count = total;
  }
};

/// Moments of each channel over the positions of one picture. The chunks are the same for every
/// number of threads.
std::vector<Moments> channel_statistics(const GroupNorm& args, Buffer picture, const float* pivot) {
  const int64_t chunks = (args.positions + kPositionsPerChunk - 1) / kPositionsPerChunk;
  std::vector<Moments> partial(static_cast<size_t>(chunks * args.channels));
  const int64_t grain = std::max<int64_t>(1, kGrain / (kPositionsPerChunk * args.channels));
  parallel_for(chunks, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(static_cast<size_t>(args.channels)), squares(sums), block;
    if (args.x.storage == Storage::kBF16)
      block.resize(static_cast<size_t>(kPositionsPerChunk * args.channels));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kPositionsPerChunk;
      const int64_t rows = std::min(kPositionsPerChunk, args.positions - first);
      std::fill(sums.begin(), sums.end(), 0.0F);
      std::fill(squares.begin(), squares.end(), 0.0F);
      const float* x =
          read_f32(picture.at(first * args.channels), rows * args.channels, block.data());
      channel_moments(x, rows, args.channels, pivot, sums.data(), squares.data());
      for (int64_t c = 0; c < args.channels; ++c) {
        const double n = static_cast<double>(rows), s = sums[c];
        partial[static_cast<size_t>(chunk * args.channels + c)] = {
            n, pivot[c] + s / n, std::max(0.0, squares[c] - s * s / n)};
      }
    }
  });
  std::vector<Moments> total(static_cast<size_t>(args.channels));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t c = 0; c < args.channels; ++c) total[c].merge(partial[chunk * args.channels + c]);
  }
  return total;
}

/// Per channel: out = (x - center) * scale + shift. The difference comes first, so that nothing
/// cancels where the mean is large.
struct ChannelAffine {
  std::vector<float> center, scale, shift;
  explicit ChannelAffine(int64_t channels)
      : center(static_cast<size_t>(channels)), scale(center), shift(center) {}
};

/// From the moments of each channel's group. The addend moves a channel's mean only.
ChannelAffine affine_of_groups(const GroupNorm& args, const std::vector<Moments>& channels,
                               const float* addend) {
  ChannelAffine result(args.channels);
  const int64_t size = args.channels / args.groups;
  for (int g = 0; g < args.groups; ++g) {
    Moments group;
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      Moments channel = channels[c];
      channel.mean += addend ? addend[c] : 0;
      group.merge(channel);
    }
    const double inverse = 1 / std::sqrt(group.squares / group.count + args.epsilon);
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      result.center[c] = static_cast<float>(group.mean - (addend ? addend[c] : 0));
      result.scale[c] = static_cast<float>(inverse * args.weight[c]);
      result.shift[c] = args.bias[c];
    }
  }
  return result;
}

void write_channels(const GroupNorm& args, Buffer from, Buffer to, const ChannelAffine& affine) {
  // A few rows at a time, so that they are still in the cache when the activation follows.
  const int64_t rows_at_once = std::max<int64_t>(1, kBlock / args.channels);
  const int64_t pieces = (args.positions + rows_at_once - 1) / rows_at_once;
  parallel_for(pieces, std::max<int64_t>(1, kGrain / (rows_at_once * args.channels)),
               [&](int64_t begin, int64_t end) {
                 std::vector<float> in(static_cast<size_t>(rows_at_once * args.channels)),
                     out(in.size());
                 for (int64_t piece = begin; piece < end; ++piece) {
                   const int64_t first = piece * rows_at_once,
                                 rows = std::min(rows_at_once, args.positions - first);
                   const int64_t n = rows * args.channels;
                   const Buffer target = to.at(first * args.channels);
                   float* result = target_f32(target, out.data());
                   channel_affine(read_f32(from.at(first * args.channels), n, in.data()), rows,
                                  args.channels, affine.center.data(), affine.scale.data(),
                                  affine.shift.data(), result);
                   if (args.after.function != UnaryFunction::kIdentity)
                     apply(args.after, result, result, n);
                   write_f32(target, n, out.data());
                 }
               });
}

}  // namespace

void group_norm(const GroupNorm& args) {
  std::vector<float> pivot(static_cast<size_t>(args.channels)), addend(pivot);
  for (int64_t b = 0; b < args.batch; ++b) {
    const int64_t offset = b * args.positions * args.channels;
    const Buffer from = args.x.at(offset);
    // Differences from one of the values keep the variance exact where the mean is large.
    std::vector<float> block(pivot.size());
    std::copy_n(read_f32(from, args.channels, block.data()), args.channels, pivot.data());
    const float* added = nullptr;
    if (args.addend.data)
      added = read_f32(args.addend.at(b * args.channels), args.channels, addend.data());
    const ChannelAffine affine =
        affine_of_groups(args, channel_statistics(args, from, pivot.data()), added);
    write_channels(args, from, args.out.at(offset), affine);
  }
}

void layer_norm(const Rows& x, const float* weight, const float* bias, float epsilon,
                const Rows& out) {
  parallel_for(x.rows, rows_per_piece(x), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto mean = static_cast<float>(row_sum(x, r) / static_cast<double>(x.columns));
      const double variance = row_squares(x, r, mean) / static_cast<double>(x.columns);
      write_normalised(x, out, r, mean, static_cast<float>(1 / std::sqrt(variance + epsilon)),
                       weight, bias);
    }
  });
}

void rms_norm(const Rows& x, const float* weight, float epsilon, const Rows& out) {
  parallel_for(x.rows, rows_per_piece(x), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const double power = row_squares(x, r, 0) / static_cast<double>(x.columns);
      write_normalised(x, out, r, 0, static_cast<float>(1 / std::sqrt(power + epsilon)), weight,
                       nullptr);
    }
  });
}

void softmax(const Rows& x, const Rows& out) {
  parallel_for(x.rows, rows_per_piece(x), [&](int64_t begin, int64_t end) {
    float in[kBlock], result[kBlock];
    std::vector<float> row(static_cast<size_t>(x.columns));
    for (int64_t r = begin; r < end; ++r) {
      float top = -INFINITY;
      for_each_block(x, r, [&](Buffer from, int64_t, int64_t n) {
        top = std::max(top, maximum(read_f32(from, n, in), n));
      });
      double total = 0;
      for_each_block(x, r, [&](Buffer from, int64_t c, int64_t n) {
        total += exp_minus(read_f32(from, n, in), top, row.data() + c, n);
      });
      const auto scale = static_cast<float>(1 / total);
      for_each_block(out, r, [&](Buffer to, int64_t c, int64_t n) {
        apply({UnaryFunction::kAffine, scale, 0}, row.data() + c, target_f32(to, result), n);
        write_f32(to, n, result);
      });
    }
  });
}

void row_mean(const Rows& x, float* out) {
  parallel_for(x.rows, rows_per_piece(x), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      out[r] = static_cast<float>(row_sum(x, r) / static_cast<double>(x.columns));
  });
}

}  // namespace safelight::engine::cpu
