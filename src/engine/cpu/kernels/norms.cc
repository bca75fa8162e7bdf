#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/parallel.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kGrain = 8192;  // elements below which a second thread costs more than it gains

// Of a group norm: sums stay in float32 for so many positions, and are double beyond.
constexpr int64_t kPositionsInFloat = 64;
constexpr int64_t kMaxChunks = 64;  // pieces of a picture for which sums are kept

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

/// Sums over the positions of each channel of the differences from a pivot, and of their squares. A
/// picture is cut in chunks, the same for every number of threads.
struct ChannelSums {
  int64_t chunk_positions = 0, chunks = 0;
  std::vector<float> pivots;          ///< [batch][channels]
  std::vector<double> sums, squares;  ///< [batch][chunks][channels]

  explicit ChannelSums(const GroupNorm& args) {
    const int64_t blocks = (args.positions + kPositionsInFloat - 1) / kPositionsInFloat;
    chunk_positions = (blocks + kMaxChunks - 1) / kMaxChunks * kPositionsInFloat;
    chunks = (args.positions + chunk_positions - 1) / chunk_positions;
    pivots.resize(static_cast<size_t>(args.batch * args.channels));
    sums.resize(static_cast<size_t>(args.batch * chunks * args.channels));
    squares.resize(sums.size());
  }

  /// Of one channel of a picture.
  Moments moments(const GroupNorm& args, int64_t picture, int64_t channel) const {
    double sum = 0, square = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const auto i = static_cast<size_t>((picture * chunks + chunk) * args.channels + channel);
      sum += sums[i];
      square += squares[i];
    }
    const auto n = static_cast<double>(args.positions);
    return {n, pivots[static_cast<size_t>(picture * args.channels + channel)] + sum / n,
            std::max(0.0, square - sum * sum / n)};
  }
};

/// The sums of one chunk, which begins at `from` and has so many positions.
void sum_chunk(const GroupNorm& args, Buffer from, int64_t positions, const float* pivot,
               double* sums, double* squares) {
  std::vector<float> block_sums(static_cast<size_t>(args.channels)), block_squares(block_sums),
      wide;
  if (from.storage == Storage::kBF16) {
    wide.resize(static_cast<size_t>(kPositionsInFloat * args.channels));
  }
  for (int64_t first = 0; first < positions; first += kPositionsInFloat) {
    const int64_t rows = std::min(kPositionsInFloat, positions - first);
    std::fill(block_sums.begin(), block_sums.end(), 0.0F);
    std::fill(block_squares.begin(), block_squares.end(), 0.0F);
    channel_moments(read_f32(from.at(first * args.channels), rows * args.channels, wide.data()),
                    rows, args.channels, pivot, block_sums.data(), block_squares.data());
    for (int64_t c = 0; c < args.channels; ++c) {
      sums[c] += block_sums[static_cast<size_t>(c)];
      squares[c] += block_squares[static_cast<size_t>(c)];
    }
  }
}

ChannelSums channel_sums(const GroupNorm& args) {
  ChannelSums result(args);
  const int64_t picture_size = args.positions * args.channels;
  std::vector<float> wide(static_cast<size_t>(args.channels));
  for (int64_t b = 0; b < args.batch; ++b) {
    // Differences from one of the values keep the variance exact where the mean is large.
    std::copy_n(read_f32(args.x.at(b * picture_size), args.channels, wide.data()), args.channels,
                result.pivots.data() + b * args.channels);
  }
  const int64_t grain = std::max<int64_t>(1, kGrain / (result.chunk_positions * args.channels));
  parallel_for(args.batch * result.chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t b = piece / result.chunks;
      const int64_t first = piece % result.chunks * result.chunk_positions;
      sum_chunk(args, args.x.at(b * picture_size + first * args.channels),
                std::min(result.chunk_positions, args.positions - first),
                result.pivots.data() + b * args.channels,
                result.sums.data() + piece * args.channels,
                result.squares.data() + piece * args.channels);
    }
  });
  return result;
}

/// Per channel: out = (x - center) * scale + shift. The difference comes first, so that nothing
/// cancels where the mean is large.
struct ChannelAffine {
  std::vector<float> center, scale, shift;
  explicit ChannelAffine(int64_t channels)
      : center(static_cast<size_t>(channels)), scale(center), shift(center) {}
};

/// Of a picture's group. The addend (or null) moves a channel's mean only.
Moments group_moments(const GroupNorm& args, const ChannelSums& sums, int64_t picture,
                      int64_t group, const float* addend) {
  const int64_t size = args.channels / args.groups;
  Moments result;
  for (int64_t c = group * size; c < (group + 1) * size; ++c) {
    Moments channel = sums.moments(args, picture, c);
    channel.mean += addend ? addend[c] : 0;
    result.merge(channel);
  }
  return result;
}

/// Of one picture, from the moments of each channel's group.
ChannelAffine affine_of_groups(const GroupNorm& args, const std::vector<Moments>& groups,
                               const float* addend) {
  ChannelAffine result(args.channels);
  const int64_t size = args.channels / args.groups;
  for (int g = 0; g < args.groups; ++g) {
    const Moments& group = groups[static_cast<size_t>(g)];
    const double inverse = 1 / std::sqrt(group.squares / group.count + args.epsilon);
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      result.center[c] = static_cast<float>(group.mean - (addend ? addend[c] : 0));
      result.scale[c] = static_cast<float>(inverse * args.weight[c]);
      result.shift[c] = args.bias[c];
    }
  }
  return result;
}

void write_channels(const GroupNorm& args, const std::vector<ChannelAffine>& affines) {
  // A few rows at a time, so that they are still in the cache when the activation follows.
  const int64_t rows_at_once = std::max<int64_t>(1, kBlock / args.channels);
  const int64_t pieces = (args.positions + rows_at_once - 1) / rows_at_once;
  const int64_t grain = std::max<int64_t>(1, kGrain / (rows_at_once * args.channels));
  parallel_for(args.batch * pieces, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> in(static_cast<size_t>(rows_at_once * args.channels)), out(in.size());
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t b = piece / pieces, first = piece % pieces * rows_at_once;
      const int64_t rows = std::min(rows_at_once, args.positions - first);
      const int64_t offset = (b * args.positions + first) * args.channels;
      const int64_t n = rows * args.channels;
      const ChannelAffine& affine = affines[static_cast<size_t>(b)];
      const Buffer target = args.out.at(offset);
      float* result = target_f32(target, out.data());
      channel_affine(read_f32(args.x.at(offset), n, in.data()), rows, args.channels,
                     affine.center.data(), affine.scale.data(), affine.shift.data(), result);
      if (args.after.function != UnaryFunction::kIdentity) apply(args.after, result, result, n);
      write_f32(target, n, out.data());
    }
  });
}

}  // namespace

void group_statistics(const GroupNorm& args, float* statistics) {
  const ChannelSums sums = channel_sums(args);
  for (int64_t b = 0; b < args.batch; ++b) {
    for (int g = 0; g < args.groups; ++g) {
      const Moments moments = group_moments(args, sums, b, g, nullptr);
      *statistics++ = static_cast<float>(moments.mean);
      *statistics++ = static_cast<float>(moments.squares / moments.count);
    }
  }
}

void group_norm(const GroupNorm& args) {
  std::optional<ChannelSums> sums;
  if (args.statistics == nullptr) sums = channel_sums(args);
  std::vector<float> wide(static_cast<size_t>(args.channels));
  std::vector<ChannelAffine> affines;
  for (int64_t b = 0; b < args.batch; ++b) {
    const float* addend = nullptr;
    if (args.addend.data) {
      addend = read_f32(args.addend.at(b * args.channels), args.channels, wide.data());
    }
    std::vector<Moments> groups;
    for (int64_t g = 0; g < args.groups; ++g) {
      const float* given = args.statistics + 2 * (b * args.groups + g);
      groups.push_back(sums ? group_moments(args, *sums, b, g, addend)
                            : Moments{1, given[0], given[1]});
    }
    affines.push_back(affine_of_groups(args, groups, addend));
  }
  write_channels(args, affines);
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
