#include "graph/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace safelight::graph {
namespace {

using Operands = std::vector<const Tensor*>;  // a null pointer where an optional input is absent

double unary_value(Op op, double x) {
  switch (op) {
    case Op::kSilu:
      return x / (1 + std::exp(-x));
    case Op::kGelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Op::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Op::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Op::kRelu:
      return std::max(x, 0.0);
    case Op::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Op::kTanh:
      return std::tanh(x);
    case Op::kExp:
      return std::exp(x);
    case Op::kSin:
      return std::sin(x);
    case Op::kCos:
      return std::cos(x);
    case Op::kSqrt:
      return std::sqrt(x);
    case Op::kSquare:
      return x * x;
    case Op::kAbs:
      return std::abs(x);
    default:
      throw GraphError("interpreter: not a unary operator");
  }
}

double binary_value(Op op, double a, double b) {
  switch (op) {
    case Op::kAdd:
      return a + b;
    case Op::kSub:
      return a - b;
    case Op::kMul:
      return a * b;
    case Op::kDiv:
      return a / b;
    case Op::kMaximum:
      return std::max(a, b);
    default:
      throw GraphError("interpreter: not a binary operator");
  }
}

template <class Function>
void map_elements(const Tensor& x, Tensor& out, Function function) {
  for (size_t i = 0; i < x.data.size(); ++i) out.data[i] = static_cast<float>(function(x.data[i]));
}

/// Calls body(index) for each multi-index of the shape, in row-major order.
template <class Body>
void for_each_index(const Shape& shape, Body body) {
  Shape index(shape.size(), 0);
  for (int64_t n = element_count(shape); n > 0; --n) {
    body(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

int64_t offset_of(const Shape& index, const Shape& strides) {
  int64_t offset = 0;
  for (size_t d = 0; d < strides.size(); ++d) offset += index[d] * strides[d];
  return offset;
}

/// Strides that read `shape` as if it had been broadcast to `target`.
Shape broadcast_strides(const Shape& shape, const Shape& target) {
  const Shape dense = dense_strides(shape);
  Shape strides(target.size(), 0);
  const size_t lead = target.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) strides[lead + d] = shape[d] == 1 ? 0 : dense[d];
  return strides;
}

void binary(const Node& node, const Operands& in, Tensor& out) {
  const Shape a = broadcast_strides(in[0]->shape, node.shape),
              b = broadcast_strides(in[1]->shape, node.shape);
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = static_cast<float>(
        binary_value(node.op, in[0]->data[offset_of(index, a)], in[1]->data[offset_of(index, b)]));
  });
}

void linear(const Operands& in, Tensor& out) {
  const int64_t n = in[1]->shape[0], k = in[1]->shape[1],
                rows = in[0]->size() / std::max<int64_t>(k, 1);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < n; ++o) {
      double sum = in[2] ? in[2]->data[o] : 0;
      for (int64_t i = 0; i < k; ++i)
        sum += static_cast<double>(in[0]->data[r * k + i]) * in[1]->data[o * k + i];
      out.data[r * n + o] = static_cast<float>(sum);
    }
  }
}

void matmul(const Node& node, const Operands& in, Tensor& out) {
  const size_t rank = node.shape.size();
  const int64_t m = node.shape[rank - 2], n = node.shape[rank - 1], k = in[0]->shape[rank - 1];
  const bool transposed = node.as<MatMulAttributes>().transpose_b;
  for (int64_t batch = 0; batch < out.size() / (m * n); ++batch) {
    const float* a = in[0]->begin() + batch * m * k;
    const float* b = in[1]->begin() + batch * k * n;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += static_cast<double>(a[i * k + l]) * (transposed ? b[j * k + l] : b[l * n + j]);
        out.data[(batch * m + i) * n + j] = static_cast<float>(sum);
      }
    }
  }
}

void conv2d(const Node& node, const Operands& in, Tensor& out) {
  const auto& conv = node.as<Conv2dAttributes>();
  const Tensor &x = *in[0], &w = *in[1];
  const int64_t channels = w.shape[1], out_per_group = w.shape[0] / conv.groups;
  size_t at = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    const int64_t b = index[0], o = index[1], first = o / out_per_group * channels;
    double sum = in[2] ? in[2]->data[o] : 0;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t ky = 0; ky < w.shape[2]; ++ky) {
        const int64_t y = index[2] * conv.stride[0] - conv.padding.top + ky * conv.dilation[0];
        if (y < 0 || y >= x.shape[2]) continue;
        for (int64_t kx = 0; kx < w.shape[3]; ++kx) {
          const int64_t column =
              index[3] * conv.stride[1] - conv.padding.left + kx * conv.dilation[1];
          if (column < 0 || column >= x.shape[3]) continue;
          sum +=
              static_cast<double>(
                  x.data[((b * x.shape[1] + first + c) * x.shape[2] + y) * x.shape[3] + column]) *
              w.data[((o * channels + c) * w.shape[2] + ky) * w.shape[3] + kx];
        }
      }
    }
    out.data[at++] = static_cast<float>(sum);
  });
}

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments(const float* values, int64_t count) {
  Moments result;
  for (int64_t i = 0; i < count; ++i) result.mean += values[i];
  result.mean /= static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i)
    result.variance += (values[i] - result.mean) * (values[i] - result.mean);
  result.variance /= static_cast<double>(count);
  return result;
}

void group_statistics(const Node& node, const Operands& in, Tensor& out) {
  const int64_t groups = node.shape[0] * node.shape[1], span = in[0]->size() / groups;
  for (int64_t g = 0; g < groups; ++g) {
    const auto [mean, variance] = moments(in[0]->begin() + g * span, span);
    out.data[2 * g] = static_cast<float>(mean);
    out.data[2 * g + 1] = static_cast<float>(variance);
  }
}

/// kGroupNorm, and kGroupNormalise, whose fourth operand has the statistics.
void group_norm(const Node& node, const Operands& in, Tensor& out) {
  const auto& [groups, epsilon] = node.as<NormAttributes>();
  const Tensor& x = *in[0];
  const int64_t channels = node.shape[1], positions = x.size() / (node.shape[0] * channels);
  const int64_t span = channels / groups * positions;
  for (int64_t g = 0; g < node.shape[0] * groups; ++g) {
    const float* from = x.begin() + g * span;
    const bool given = node.op == Op::kGroupNormalise;
    const auto [mean, variance] =
        given ? Moments{in[3]->data[2 * g], in[3]->data[2 * g + 1]} : moments(from, span);
    const double scale = 1 / std::sqrt(variance + epsilon);
    for (int64_t i = 0; i < span; ++i) {
      const int64_t c = g % groups * (channels / groups) + i / positions;
      out.data[g * span + i] =
          static_cast<float>((from[i] - mean) * scale * in[1]->data[c] + in[2]->data[c]);
    }
  }
}

/// kLayerNorm, kRmsNorm and kSoftmax: row by row of the last dimension.
void normalise_rows(const Node& node, const Operands& in, Tensor& out) {
  const int64_t columns = node.shape.back();
  for (int64_t r = 0; r < out.size() / columns; ++r) {
    const float* x = in[0]->begin() + r * columns;
    float* y = out.begin() + r * columns;
    double mean = 0, power = 0, total = 0;
    const double top = *std::max_element(x, x + columns);
    for (int64_t c = 0; c < columns; ++c) mean += x[c] / static_cast<double>(columns);
    if (node.op == Op::kRmsNorm) mean = 0;
    for (int64_t c = 0; c < columns; ++c)
      power += (x[c] - mean) * (x[c] - mean) / static_cast<double>(columns);
    for (int64_t c = 0; c < columns; ++c) total += std::exp(x[c] - top);
    for (int64_t c = 0; c < columns; ++c) {
      if (node.op == Op::kSoftmax) {
        y[c] = static_cast<float>(std::exp(x[c] - top) / total);
        continue;
      }
      double value = (x[c] - mean) / std::sqrt(power + node.as<NormAttributes>().epsilon);
      if (in[1]) value *= in[1]->data[c];
      if (node.op == Op::kLayerNorm && in[2]) value += in[2]->data[c];
      y[c] = static_cast<float>(value);
    }
  }
}

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

bool is_destination(const TokenAttributes& tokens, int64_t n) {
  const int64_t y = n / tokens.width, x = n % tokens.width;
  return y % 2 == 0 && x % 2 == 0 && y + 1 < tokens.height && x + 1 < tokens.width;
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

void permute(const Node& node, const Operands& in, Tensor& out) {
  const Shape& order = node.as<ShapeAttributes>().shape;
  const Shape dense = dense_strides(in[0]->shape);
  Shape strides(order.size());
  for (size_t d = 0; d < order.size(); ++d) strides[d] = dense[static_cast<size_t>(order[d])];
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = in[0]->data[offset_of(index, strides)];
  });
}

void concat(const Node& node, const Operands& in, Tensor& out) {
  const auto axis = static_cast<size_t>(node.as<AxisAttributes>().axis);
  const Shape strides = dense_strides(node.shape);
  int64_t begin = 0;
  for (const Tensor* part : in) {
    size_t i = 0;
    for_each_index(part->shape, [&](const Shape& index) {
      out.data[offset_of(index, strides) + begin * strides[axis]] = part->data[i++];
    });
    begin += part->shape[axis];
  }
}

void slice(const Node& node, const Operands& in, Tensor& out) {
  const auto& [axis, begin, end] = node.as<AxisAttributes>();
  const Shape strides = dense_strides(in[0]->shape);
  const int64_t first = begin * strides[static_cast<size_t>(axis)];
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = in[0]->data[first + offset_of(index, strides)];
  });
}

void pad2d(const Node& node, const Operands& in, Tensor& out) {
  const auto& padding = node.as<Padding>();
  const Shape strides = dense_strides(node.shape);
  size_t i = 0;
  for_each_index(in[0]->shape, [&](Shape index) {
    index[2] += padding.top;
    index[3] += padding.left;
    out.data[offset_of(index, strides)] = in[0]->data[i++];
  });
}

void broadcast_to(const Node& node, const Operands& in, Tensor& out) {
  const Shape strides = broadcast_strides(in[0]->shape, node.shape);
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = in[0]->data[offset_of(index, strides)];
  });
}

void upsample_nearest(const Node& node, const Operands& in, Tensor& out) {
  const auto& [fy, fx] = node.as<UpsampleAttributes>();
  const Shape strides = dense_strides(in[0]->shape);
  size_t i = 0;
  for_each_index(node.shape, [&, fy = fy, fx = fx](Shape index) {
    index[2] /= fy;
    index[3] /= fx;
    out.data[i++] = in[0]->data[offset_of(index, strides)];
  });
}

void mean(const Node& node, const Operands& in, Tensor& out) {
  const auto axis = static_cast<size_t>(node.as<AxisAttributes>().axis);
  const Shape strides = dense_strides(in[0]->shape);
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    double sum = 0;
    for (int64_t j = 0; j < in[0]->shape[axis]; ++j)
      sum += in[0]->data[offset_of(index, strides) + j * strides[axis]];
    out.data[i++] = static_cast<float>(sum / static_cast<double>(in[0]->shape[axis]));
  });
}

void evaluate(const Node& node, const Operands& in, Tensor& out) {
  switch (node.op) {
    case Op::kInput:
    case Op::kParam:
      throw GraphError("interpreter: sources are not evaluated");
    case Op::kConstant:
      out.data = node.as<ConstantAttributes>().data;
      return;
    case Op::kAffine: {
      const auto [a, b] = node.as<ScalarAttributes>();
      return map_elements(*in[0], out, [a = a, b = b](double x) { return x * a + b; });
    }
    case Op::kClamp: {
      const auto [a, b] = node.as<ScalarAttributes>();
      return map_elements(*in[0], out,
                          [a = a, b = b](double x) { return std::clamp<double>(x, a, b); });
    }
    case Op::kAdd:
    case Op::kSub:
    case Op::kMul:
    case Op::kDiv:
    case Op::kMaximum:
      return binary(node, in, out);
    case Op::kLinear:
      return linear(in, out);
    case Op::kMatMul:
      return matmul(node, in, out);
    case Op::kConv2d:
      return conv2d(node, in, out);
    case Op::kGroupStatistics:
      return group_statistics(node, in, out);
    case Op::kGroupNorm:
    case Op::kGroupNormalise:
      return group_norm(node, in, out);
    case Op::kLayerNorm:
    case Op::kRmsNorm:
    case Op::kSoftmax:
      return normalise_rows(node, in, out);
    case Op::kAttention:
      return attention(node, in, out);
    case Op::kGeglu:
      return geglu(node, in, out);
    case Op::kEmbedding:
      return embedding(in, out);
    case Op::kTimestepEmbedding:
      return timestep_embedding(node, in, out);
    case Op::kTokenSlots:
      return token_slots(node, in, out);
    case Op::kMergeTokens:
    case Op::kUnmergeTokens:
      return move_tokens(node, in, out);
    case Op::kReshape:
      out.data = in[0]->data;
      return;
    case Op::kPermute:
      return permute(node, in, out);
    case Op::kConcat:
      return concat(node, in, out);
    case Op::kSlice:
      return slice(node, in, out);
    case Op::kPad2d:
      return pad2d(node, in, out);
    case Op::kBroadcast:
      return broadcast_to(node, in, out);
    case Op::kUpsampleNearest:
      return upsample_nearest(node, in, out);
    case Op::kMean:
      return mean(node, in, out);
    default:
      return map_elements(*in[0], out, [&](double x) { return unary_value(node.op, x); });
  }
}

}  // namespace

std::vector<Tensor> interpret(const Graph& graph, const std::map<std::string, Tensor>& inputs,
                              const ParamLookup& params) {
  std::vector<Tensor> values(graph.nodes().size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.op == Op::kInput || node.op == Op::kParam) {
      const std::string& name = node.as<NameAttributes>().name;
      if (node.op == Op::kInput && !inputs.contains(name))
        throw GraphError("no input named '" + name + "'");
      values[i] = node.op == Op::kInput ? inputs.at(name) : params(name);
      if (values[i].shape != node.shape) {
        throw GraphError(fmt::format("'{}' has shape {}; the graph needs {}", name,
                                     to_string(values[i].shape), to_string(node.shape)));
      }
      continue;
    }
    Operands operands;
    for (const Value value : node.inputs) {
      operands.push_back(value.valid() ? &values[static_cast<size_t>(value.index)] : nullptr);
    }
    values[i] = Tensor(node.shape);
    evaluate(node, operands, values[i]);
  }
  std::vector<Tensor> results;
  for (const NamedValue& output : graph.outputs())
    results.push_back(values[static_cast<size_t>(output.value.index)]);
  return results;
}

}  // namespace safelight::graph
