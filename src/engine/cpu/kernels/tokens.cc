// Token merging (Bolya & Hoffman 2023).
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/parallel.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kGrain = 8192;  // elements below which a second thread costs more than it gains

int64_t rows_per_piece(const Rows& rows) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(rows.columns, 1));
}

/// The place of each token as a whole number in [0, count).
std::vector<int64_t> checked_slots(const float* slots, int64_t tokens, int64_t count) {
  std::vector<int64_t> result(static_cast<size_t>(tokens));
  for (int64_t n = 0; n < tokens; ++n) {
    if (!(slots[n] >= 0 && slots[n] < static_cast<float>(count)))
      throw std::out_of_range("tokens: no such place");
    result[static_cast<size_t>(n)] = static_cast<int64_t>(slots[n]);
  }
  return result;
}

/// A token that may be merged: the destination that it is most like.
struct Source {
  int64_t token = 0, destination = 0;
  float score = 0;
};

/// All tokens but the destinations, in order.
std::vector<Source> sources_of(const TokenSlots& args) {
  std::vector<Source> sources;
  for (int64_t n = 0; n < args.height * args.width; ++n) {
    const int64_t y = n / args.width, x = n % args.width;
    const bool in_window = y / 2 < args.height / 2 && x / 2 < args.width / 2;
    if (!in_window || y % 2 != 0 || x % 2 != 0) sources.push_back({n});
  }
  return sources;
}

}  // namespace

void token_slots(const TokenSlots& args) {
  const int64_t tokens = args.height * args.width, windows = args.width / 2,
                destinations = args.height / 2 * windows;
  std::vector<Source> sources = sources_of(args);
  parallel_for(static_cast<int64_t>(sources.size()), std::max<int64_t>(1, kGrain / destinations),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   Source& source = sources[static_cast<size_t>(i)];
                   const float* scores = args.scores + source.token * destinations;
                   source.score = maximum(scores, destinations);
                   source.destination =
                       std::find(scores, scores + destinations, source.score) - scores;
                 }
               });
  const auto before = [](const Source& a, const Source& b) {
    return a.score != b.score ? a.score > b.score : a.token < b.token;
  };
  const auto merged_end = sources.begin() + args.merged;
  std::nth_element(sources.begin(), merged_end, sources.end(), before);
  std::fill(args.slots, args.slots + tokens, 0.0F);
  std::for_each(sources.begin(), merged_end,
                [&](const Source& source) { args.slots[source.token] = -1; });
  float next = 0;
  for (int64_t n = 0; n < tokens; ++n) {
    if (args.slots[n] >= 0) args.slots[n] = next++;
  }
  std::for_each(sources.begin(), merged_end, [&](const Source& source) {
    const int64_t y = source.destination / windows * 2, x = source.destination % windows * 2;
    args.slots[source.token] = args.slots[y * args.width + x];
  });
}

void merge_tokens(const Rows& x, const float* slots, const Rows& out) {
  const std::vector<int64_t> places = checked_slots(slots, x.rows, out.rows);
  // The tokens of place s are members[begins[s]] to members[begins[s + 1]].
  std::vector<int64_t> begins(static_cast<size_t>(out.rows) + 1), members(places.size());
  for (const int64_t place : places) ++begins[static_cast<size_t>(place) + 1];
  for (size_t s = 1; s < begins.size(); ++s) begins[s] += begins[s - 1];
  std::vector<int64_t> next(begins.begin(), begins.end() - 1);
  for (int64_t n = 0; n < x.rows; ++n)
    members[static_cast<size_t>(next[static_cast<size_t>(places[static_cast<size_t>(n)])]++)] = n;

  parallel_for(out.rows, rows_per_piece(out), [&](int64_t begin, int64_t end) {
    float block[kBlock], sum[kBlock];
    for (int64_t s = begin; s < end; ++s) {
      const int64_t first = begins[static_cast<size_t>(s)],
                    last = begins[static_cast<size_t>(s) + 1];
      for (int64_t c = 0; c < out.columns; c += kBlock) {
        const int64_t n = std::min(kBlock, out.columns - c);
        std::fill_n(sum, n, 0.0F);
        for (int64_t i = first; i < last; ++i) {
          const Buffer row = x.buffer.at(members[static_cast<size_t>(i)] * x.stride + c);
          combine(BinaryFunction::kAdd, sum, 1, read_f32(row, n, block), 1, sum, n);
        }
        const Buffer target = out.buffer.at(s * out.stride + c);
        apply(
            {UnaryFunction::kAffine, 1 / static_cast<float>(std::max<int64_t>(last - first, 1)), 0},
            sum, target_f32(target, sum), n);
        write_f32(target, n, sum);
      }
    }
  });
}

void unmerge_tokens(const Rows& x, const float* slots, const Rows& out) {
  const std::vector<int64_t> places = checked_slots(slots, out.rows, x.rows);
  parallel_for(out.rows, rows_per_piece(out), [&](int64_t begin, int64_t end) {
    float in[kBlock], result[kBlock];
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < out.columns; c += kBlock) {
        const int64_t n = std::min(kBlock, out.columns - c);
        const Buffer from = x.buffer.at(places[static_cast<size_t>(r)] * x.stride + c);
        const Buffer to = out.buffer.at(r * out.stride + c);
        const float* values = read_f32(from, n, in);
        std::copy_n(values, n, target_f32(to, result));
        write_f32(to, n, result);
      }
    }
  });
}

}  // namespace safelight::engine::cpu
