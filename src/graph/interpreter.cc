#include "graph/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/reference_operators.h"

namespace safelight::graph {

double reference::unary_value(Op op, double x) {
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

namespace {

using namespace reference;

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

void binary(const Node& node, const Operands& in, Tensor& out) {
  const Shape a = broadcast_strides(in[0]->shape, node.shape),
              b = broadcast_strides(in[1]->shape, node.shape);
  size_t i = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    out.data[i++] = static_cast<float>(
        binary_value(node.op, in[0]->data[offset_of(index, a)], in[1]->data[offset_of(index, b)]));
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
