#pragma once

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "engine/cpu/kernels/buffer.h"

namespace safelight::engine::cpu {

/// Walks several views of equal sizes in step. Dimensions are ordered by the first view's strides
/// and merged where all views allow it; the innermost becomes a run that kernels handle at once.
template <size_t N>
class RunLoop {
 public:
  explicit RunLoop(const std::array<const StridedView*, N>& views) {
    std::vector<int> order;
    for (int d = 0; d < views[0]->rank; ++d) {
      if (views[0]->sizes[d] != 1) order.push_back(d);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return views[0]->strides[a] > views[0]->strides[b]; });
    for (const int d : order) {
      std::array<int64_t, N> strides;
      for (size_t v = 0; v < N; ++v) strides[v] = views[v]->strides[d];
      append(views[0]->sizes[d], strides);
    }
    if (sizes_.empty()) append(1, {});
    length_ = sizes_.back();
    run_strides_ = strides_.back();
    sizes_.pop_back();
    strides_.pop_back();
    runs_ = std::accumulate(sizes_.begin(), sizes_.end(), int64_t{1}, std::multiplies<>());
    split_long_run();
  }

  int64_t runs() const { return length_ == 0 ? 0 : runs_; }
  int64_t length() const { return length_; }
  /// Distance of a view's elements inside a run.
  int64_t stride(size_t view) const { return run_strides_[view]; }

  /// Calls body(offsets of the views) for the runs [begin, end).
  template <class Body>
  void for_each(int64_t begin, int64_t end, const Body& body) const {
    std::vector<int64_t> index(sizes_.size());
    std::array<int64_t, N> offsets{};
    int64_t rest = begin;
    for (size_t d = sizes_.size(); d-- > 0;) {
      index[d] = rest % sizes_[d];
      rest /= sizes_[d];
      for (size_t v = 0; v < N; ++v) offsets[v] += index[d] * strides_[d][v];
    }
    for (int64_t run = begin; run < end; ++run) {
      body(offsets);
      for (size_t d = sizes_.size(); d-- > 0;) {
        for (size_t v = 0; v < N; ++v) offsets[v] += strides_[d][v];
        if (++index[d] < sizes_[d]) break;
        for (size_t v = 0; v < N; ++v) offsets[v] -= index[d] * strides_[d][v];
        index[d] = 0;
      }
    }
  }

 private:
  static constexpr int64_t kLongRun = 16384;

  /// Adds a dimension inside the others, merged with the last where every view steps through both
  /// evenly.
  void append(int64_t size, const std::array<int64_t, N>& strides) {
    bool merges = !sizes_.empty();
    for (size_t v = 0; v < N && merges; ++v) merges = strides_.back()[v] == strides[v] * size;
    if (!merges) {
      sizes_.push_back(1);
      strides_.emplace_back();
    }
    sizes_.back() *= size;
    strides_.back() = strides;
  }

  /// A tensor that is one long run is cut evenly, so that threads can share it.
  void split_long_run() {
    for (int64_t piece = 4096; piece <= kLongRun && runs_ == 1 && length_ > kLongRun; piece *= 2) {
      if (length_ % piece != 0) continue;
      sizes_.push_back(length_ / piece);
      std::array<int64_t, N> strides;
      for (size_t v = 0; v < N; ++v) strides[v] = run_strides_[v] * piece;
      strides_.push_back(strides);
      runs_ = length_ / piece;
      length_ = piece;
    }
  }

  std::vector<int64_t> sizes_;
  std::vector<std::array<int64_t, N>> strides_;
  std::array<int64_t, N> run_strides_{};
  int64_t length_ = 0, runs_ = 0;
};

}  // namespace safelight::engine::cpu
