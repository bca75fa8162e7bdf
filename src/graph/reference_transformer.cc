#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/reference_operators.h"

namespace safelight::graph::reference {
namespace {

bool is_destination(const TokenAttributes& tokens, int64_t n) {
  const int64_t y = n / tokens.width, x = n % tokens.width;
  return y % 2 == 0 && x % 2 == 0 && y + 1 < tokens.height && x + 1 < tokens.width;
}

}  // namespace

void attention(const Node& node, const Operands& in, Tensor& out) {
  const int64_t heads = node.as<AttentionAttributes>().heads;
  const bool causal = node.as<AttentionAttributes>().causal;
  const int64_t queries = node.shape[1], keys = in[1]->shape[1], width = node.shape[2],
                size = width / heads;
  std::vector<double> score(static_cast<size_t>(keys));
  for_each_index({node.shape[0], heads, queries}, [&](const Shape& index) {
    const int64_t head = index[1] * size, seen = causal ? index[2] + 1 : keys;
    const float* q = in[0]->begin() + (index[0] * queries + index[2]) * width + head;
    double top = -std::numeric_limits<double>::infinity(), total = 0;
    for (int64_t t = 0; t < seen; ++t) {
      const float* k = in[1]->begin() + (index[0] * keys + t) * width + head;
      double dot = 0;
      for (int64_t d = 0; d < size; ++d) dot += static_cast<double>(q[d]) * k[d];
      score[t] = dot / std::sqrt(static_cast<double>(size));
      top = std::max(top, score[t]);
    }
    for (int64_t t = 0; t < seen; ++t) total += score[t] = std::exp(score[t] - top);
    for (int64_t d = 0; d < size; ++d) {
      double sum = 0;
      for (int64_t t = 0; t < seen; ++t)
        sum += score[t] * in[2]->data[(index[0] * keys + t) * width + head + d];
      out.data[(index[0] * queries + index[2]) * width + head + d] =
          static_cast<float>(sum / total);
    }
  });
}

void geglu(const Node& node, const Operands& in, Tensor& out) {
  const int64_t n = node.shape.back();
  for (int64_t i = 0; i < out.size(); ++i) {
    const float* row = in[0]->begin() + i / n * 2 * n;
    out.data[i] = static_cast<float>(row[i % n] * unary_value(Op::kGelu, row[n + i % n]));
  }
}

void embedding(const Operands& in, Tensor& out) {
  const int64_t rows = in[1]->shape[0], width = in[1]->shape[1];
  for (int64_t i = 0; i < in[0]->size(); ++i) {
    const double id = in[0]->data[i];
    if (id < 0 || id >= static_cast<double>(rows) || id != std::floor(id)) {
      throw GraphError(fmt::format("embedding: id {} is not in [0, {})", id, rows));
    }
    std::copy_n(in[1]->begin() + static_cast<int64_t>(id) * width, width, out.begin() + i * width);
  }
}

void timestep_embedding(const Node& node, const Operands& in, Tensor& out) {
  const auto& [size, max_period] = node.as<TimestepAttributes>();
  const int64_t half = size / 2;
  for (int64_t b = 0; b < node.shape[0]; ++b) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle =
          in[0]->data[b] * std::exp(-std::log(static_cast<double>(max_period)) *
                                    static_cast<double>(i) / static_cast<double>(half));
      out.data[b * size + i] = static_cast<float>(std::cos(angle));
      out.data[b * size + half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void token_slots(const Node& node, const Operands& in, Tensor& out) {
  const auto& tokens = node.as<TokenAttributes>();
  const int64_t count = node.shape[1], destinations = in[0]->shape[2];
  for (int64_t b = 0; b < node.shape[0]; ++b) {
    const float* scores = in[0]->begin() + b * count * destinations;
    const auto best = [&](int64_t n) {
      return std::max_element(scores + n * destinations, scores + (n + 1) * destinations);
    };
    std::vector<int64_t> order, destination_tokens;
    for (int64_t n = 0; n < count; ++n)
      (is_destination(tokens, n) ? destination_tokens : order).push_back(n);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t c) { return *best(a) > *best(c); });
    float* slots = out.begin() + b * count;
    std::fill(slots, slots + count, -1.0F);
    order.resize(static_cast<size_t>(tokens.merged));
    const auto merges = [&](int64_t n) {
      return std::find(order.begin(), order.end(), n) != order.end();
    };
    float next = 0;
    for (int64_t n = 0; n < count; ++n) {
      if (!merges(n)) slots[n] = next++;
    }
    for (const int64_t n : order)
      slots[n] = slots[destination_tokens[best(n) - (scores + n * destinations)]];
  }
}

/// kMergeTokens and kUnmergeTokens.
void move_tokens(const Node& node, const Operands& in, Tensor& out) {
  const bool merges = node.op == Op::kMergeTokens;
  const int64_t many = in[1]->shape[1], channels = node.shape[2],
                few = merges ? node.shape[1] : in[0]->shape[1];
  for (int64_t b = 0; b < node.shape[0]; ++b) {
    const float* slots = in[1]->begin() + b * many;
    for_each_index({merges ? few : many, channels}, [&](const Shape& index) {
      double sum = 0, count = 0;
      for (int64_t n = 0; merges && n < many; ++n) {
        if (slots[n] != static_cast<float>(index[0])) continue;
        sum += in[0]->data[(b * many + n) * channels + index[1]];
        count += 1;
      }
      out.data[(b * node.shape[1] + index[0]) * channels + index[1]] = static_cast<float>(
          merges ? sum / count
                 : in[0]->data[(b * few + static_cast<int64_t>(slots[index[0]])) * channels +
                               index[1]]);
    });
  }
}

}  // namespace safelight::graph::reference
