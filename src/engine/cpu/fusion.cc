#include "engine/cpu/fusion.h"

#include <algorithm>

namespace safelight::engine::cpu {
namespace {

using graph::Graph;
using graph::Node;
using graph::Op;
using graph::Value;

bool is_product(Op op) { return op == Op::kConv2d || op == Op::kLinear; }
bool is_binary(Op op) { return op >= Op::kAdd && op <= Op::kMaximum; }

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph), users_(graph.nodes().size(), 0) {
    result_.runs.assign(users_.size(), false);
    result_.fusions.resize(users_.size());
    mark_needed();
  }

  FusedGraph run() {
    for (size_t i = 0; i < users_.size(); ++i) {
      if (result_.runs[i]) visit({static_cast<int32_t>(i)});
    }
    return std::move(result_);
  }

 private:
  void mark_needed() {
    for (const graph::NamedValue& output : graph_.outputs()) need(output.value);
    for (size_t i = users_.size(); i-- > 0;) {
      if (!result_.runs[i]) continue;
      for (const Value input : graph_.nodes()[i].inputs) {
        if (input.valid()) need(input);
      }
    }
  }

  void need(Value value) {
    ++users_[static_cast<size_t>(value.index)];
    result_.runs[static_cast<size_t>(value.index)] = true;
  }

  bool single_use(Value value) const { return users_[static_cast<size_t>(value.index)] == 1; }
  std::optional<Fusion>& fusion(Value value) {
    return result_.fusions[static_cast<size_t>(value.index)];
  }

  void visit(Value value) {
    const Node& node = graph_.node(value);
    if (is_product(node.op) || is_binary(node.op)) fusion(value) = Fusion{.core = value};
    if (node.op == Op::kConv2d) fuse_upsampling(value);
    if (node.op == Op::kGroupNorm) fuse_norm(value);
    if (node.op == Op::kGroupNormalise)
      fusion(value) = Fusion{.core = value, .norm_input = node.inputs[0]};
    if (node.op == Op::kAdd) fuse_residual(value);
    if (unary_of(node)) fuse_activation(value);
  }

  /// A convolution reads an image that only it needs larger as it is; not a 1x1 one, which is a
  /// product of pixels as rows.
  void fuse_upsampling(Value value) {
    const Value image = graph_.node(value).inputs[0];
    fusion(value)->source = image;
    const Node& node = graph_.node(image);
    const graph::Shape& weight = graph_.shape(graph_.node(value).inputs[1]);
    if (node.op != Op::kUpsampleNearest || !single_use(image) || weight[2] * weight[3] == 1) return;
    const auto [fy, fx] = node.as<graph::UpsampleAttributes>();
    if (fy != fx || graph_.node(node.inputs[0]).numerics != node.numerics) return;
    fusion(value)->source = node.inputs[0];
    fusion(value)->upsample = static_cast<int>(fy);
    result_.runs[static_cast<size_t>(image.index)] = false;
  }

  /// Moves the fusion of `from` to `to`, which runs in its place.
  Fusion& extend(Value from, Value to) {
    fusion(to) = std::move(*fusion(from));
    fusion(from).reset();
    result_.runs[static_cast<size_t>(from.index)] = false;
    return *fusion(to);
  }

  void fuse_activation(Value value) {
    const Value input = graph_.node(value).inputs[0];
    if (!single_use(input) || !fusion(input) ||
        graph_.node(input).numerics != graph_.node(value).numerics)
      return;
    const bool product = is_product(graph_.node(fusion(input)->core).op);
    const Op op = graph_.node(value).op;
    if (product && (op == Op::kSin || op == Op::kCos)) return;  // oneDNN has no such post-operation
    if (!product && !fusion(input)->after.empty()) return;
    extend(input, value).after.push_back({*unary_of(graph_.node(value))});
  }

  void fuse_residual(Value value) {
    const Node& node = graph_.node(value);
    Value product = node.inputs[0], other = node.inputs[1];
    if (other.index > product.index)
      std::swap(product, other);  // the other one must have been computed before
    for (int attempt = 0; attempt < 2; ++attempt, std::swap(product, other)) {
      if (product == other || !single_use(product) || !fusion(product)) continue;
      if (!is_product(graph_.node(fusion(product)->core).op)) continue;
      if (graph_.shape(product) != node.shape || graph_.shape(other) != node.shape) continue;
      if (graph_.node(product).numerics != node.numerics) continue;
      extend(product, value).after.push_back({{}, other});
      return;
    }
  }

  /// A per-channel term [B, C, 1, ...] added to the norm's input is added by the norm itself.
  void fuse_norm(Value value) {
    const Value x = graph_.node(value).inputs[0];
    Fusion fused{.core = value, .norm_input = x};
    const Node& sum = graph_.node(x);
    if (sum.op == Op::kAdd && single_use(x) && fusion(x) && fusion(x)->after.empty() &&
        fusion(x)->core == x) {
      for (int side = 0; side < 2; ++side) {
        const graph::Shape& term = graph_.shape(sum.inputs[side]);
        graph::Shape per_channel(sum.shape.size(), 1);
        per_channel[0] = sum.shape[0];
        per_channel[1] = sum.shape[1];
        if (term != per_channel || graph_.shape(sum.inputs[1 - side]) != sum.shape) continue;
        if (term == sum.shape) continue;
        fused.norm_input = sum.inputs[1 - side];
        fused.norm_addend = sum.inputs[side];
        fusion(x).reset();
        result_.runs[static_cast<size_t>(x.index)] = false;
        break;
      }
    }
    fusion(value) = std::move(fused);
  }

  const Graph& graph_;
  std::vector<int> users_;
  FusedGraph result_;
};

}  // namespace

std::optional<Unary> unary_of(const Node& node) {
  switch (node.op) {
    case Op::kSilu:
      return Unary{UnaryFunction::kSilu};
    case Op::kGelu:
      return Unary{UnaryFunction::kGelu};
    case Op::kGeluTanh:
      return Unary{UnaryFunction::kGeluTanh};
    case Op::kQuickGelu:
      return Unary{UnaryFunction::kQuickGelu};
    case Op::kRelu:
      return Unary{UnaryFunction::kRelu};
    case Op::kSigmoid:
      return Unary{UnaryFunction::kSigmoid};
    case Op::kTanh:
      return Unary{UnaryFunction::kTanh};
    case Op::kExp:
      return Unary{UnaryFunction::kExp};
    case Op::kSin:
      return Unary{UnaryFunction::kSin};
    case Op::kCos:
      return Unary{UnaryFunction::kCos};
    case Op::kSqrt:
      return Unary{UnaryFunction::kSqrt};
    case Op::kSquare:
      return Unary{UnaryFunction::kSquare};
    case Op::kAbs:
      return Unary{UnaryFunction::kAbs};
    case Op::kAffine:
      return Unary{UnaryFunction::kAffine, node.as<graph::ScalarAttributes>().a,
                   node.as<graph::ScalarAttributes>().b};
    case Op::kClamp:
      return Unary{UnaryFunction::kClamp, node.as<graph::ScalarAttributes>().a,
                   node.as<graph::ScalarAttributes>().b};
    default:
      return std::nullopt;
  }
}

FusedGraph fuse(const Graph& graph) { return Fuser(graph).run(); }

}  // namespace safelight::engine::cpu
