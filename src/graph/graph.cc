#include "graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace safelight::graph {
namespace {

constexpr std::array kOpNames = {
    "input",
    "param",
    "constant",
    "silu",
    "gelu",
    "gelu_tanh",
    "quick_gelu",
    "relu",
    "sigmoid",
    "tanh",
    "exp",
    "sin",
    "cos",
    "sqrt",
    "square",
    "abs",
    "affine",
    "clamp",
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "linear",
    "matmul",
    "conv2d",
    "group_norm",
    "group_statistics",
    "group_normalise",
    "layer_norm",
    "rms_norm",
    "softmax",
    "attention",
    "geglu",
    "embedding",
    "timestep_embedding",
    "token_slots",
    "merge_tokens",
    "unmerge_tokens",
    "reshape",
    "permute",
    "concat",
    "slice",
    "pad2d",
    "broadcast",
    "upsample_nearest",
    "mean",
};
static_assert(kOpNames.size() == static_cast<size_t>(Op::kMean) + 1);

bool is_unary(Op op) { return op >= Op::kSilu && op <= Op::kAbs; }
bool is_binary(Op op) { return op >= Op::kAdd && op <= Op::kMaximum; }

/// Output size of a convolution along one dimension; <= 0 where the kernel does not fit.
int64_t convolved(int64_t size, int64_t padding, int64_t kernel, int64_t dilation, int64_t stride) {
  const int64_t room = size + padding - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace

std::string_view op_name(Op op) { return kOpNames.at(static_cast<size_t>(op)); }

Value Graph::append(Op op, std::vector<Value> inputs, Shape shape, Attributes attributes) {
  nodes_.push_back(
      {op, std::move(inputs), std::move(attributes), std::move(shape), Numerics::kAny});
  return {static_cast<int32_t>(nodes_.size() - 1)};
}

const Shape& Graph::checked(Value value, const char* what) const {
  if (!value.valid() || static_cast<size_t>(value.index) >= nodes_.size()) {
    throw GraphError(fmt::format("{}: not a value of this graph", what));
  }
  return shape(value);
}

void Graph::require(bool condition, Op op, const std::string& rule,
                    const std::vector<Value>& inputs) const {
  if (condition) return;
  std::string shapes;
  for (const Value value : inputs) {
    if (!shapes.empty()) shapes += ", ";
    shapes += value.valid() ? to_string(shape(value)) : "none";
  }
  throw GraphError(fmt::format("{}: {}; got {}", op_name(op), rule, shapes));
}

int64_t Graph::axis_of(Value x, int64_t axis, Op op) const {
  const auto rank = static_cast<int64_t>(checked(x, op_name(op).data()).size());
  require(axis >= -rank && axis < rank, op, fmt::format("axis {} is out of range", axis), {x});
  return axis < 0 ? axis + rank : axis;
}

Value Graph::input(std::string name, Shape shape, Numerics numerics) {
  const Value value = append(Op::kInput, {}, std::move(shape), NameAttributes{std::move(name)});
  nodes_.back().numerics = numerics;
  inputs_.push_back(value);
  return value;
}

Value Graph::param(const std::string& name, const Shape& shape) {
  const auto place =
      std::lower_bound(params_.begin(), params_.end(), name,
                       [](const auto& entry, const std::string& key) { return entry.first < key; });
  if (place != params_.end() && place->first == name) {
    require(this->shape(place->second) == shape, Op::kParam,
            fmt::format("'{}' is used with two shapes", name), {place->second});
    return place->second;
  }
  const Value value = append(Op::kParam, {}, shape, NameAttributes{name});
  params_.insert(place, {name, value});
  return value;
}

Value Graph::constant(const Tensor& tensor) {
  if (element_count(tensor.shape) != tensor.size())
    throw GraphError("constant: data does not fill its shape");
  return append(Op::kConstant, {}, tensor.shape, ConstantAttributes{tensor.data});
}

Value Graph::unary(Op op, Value x) {
  if (!is_unary(op)) throw GraphError(fmt::format("{}: not a unary operator", op_name(op)));
  return append(op, {x}, checked(x, "unary"));
}

Value Graph::affine(Value x, float scale, float shift) {
  return append(Op::kAffine, {x}, checked(x, "affine"), ScalarAttributes{scale, shift});
}

Value Graph::clamp(Value x, float low, float high) {
  require(low <= high, Op::kClamp, "low must not exceed high", {x});
  return append(Op::kClamp, {x}, checked(x, "clamp"), ScalarAttributes{low, high});
}

Value Graph::binary(Op op, Value a, Value b) {
  if (!is_binary(op)) throw GraphError(fmt::format("{}: not a binary operator", op_name(op)));
  Shape result;
  require(broadcast(checked(a, "binary"), checked(b, "binary"), result), op,
          "shapes must broadcast", {a, b});
  return append(op, {a, b}, std::move(result));
}

Value Graph::linear(Value x, Value weight, Value bias) {
  const Shape& w = checked(weight, "linear");
  Shape result = checked(x, "linear");
  require(w.size() == 2 && !result.empty() && result.back() == w[1], Op::kLinear,
          "needs x [..., K] and weight [N, K]", {x, weight});
  require(!bias.valid() || shape(bias) == Shape{w[0]}, Op::kLinear, "needs bias [N]",
          {weight, bias});
  result.back() = w[0];
  return append(Op::kLinear, {x, weight, bias}, std::move(result));
}

Value Graph::matmul(Value a, Value b, bool transpose_b) {
  const Shape& sa = checked(a, "matmul");
  const Shape& sb = checked(b, "matmul");
  const size_t rank = sa.size();
  bool fits = rank >= 2 && sb.size() == rank && std::equal(sa.begin(), sa.end() - 2, sb.begin());
  fits = fits && sa[rank - 1] == sb[transpose_b ? rank - 1 : rank - 2];
  require(fits, Op::kMatMul, "needs [..., M, K] and [..., K, N]", {a, b});
  Shape result = sa;
  result[rank - 1] = sb[transpose_b ? rank - 2 : rank - 1];
  return append(Op::kMatMul, {a, b}, std::move(result), MatMulAttributes{transpose_b});
}

Value Graph::conv2d(Value x, Value weight, Value bias, const Conv2dAttributes& attributes) {
  const Shape& sx = checked(x, "conv2d");
  const Shape& sw = checked(weight, "conv2d");
  const auto& [stride, padding, dilation, groups] = attributes;
  require(sx.size() == 4 && sw.size() == 4 && groups > 0 && sx[1] == sw[1] * groups &&
              sw[0] % groups == 0,
          Op::kConv2d, "needs x [B, C, H, W] and weight [O, C / groups, kh, kw]", {x, weight});
  require(!bias.valid() || shape(bias) == Shape{sw[0]}, Op::kConv2d, "needs bias [O]",
          {weight, bias});
  const int64_t height =
      convolved(sx[2], padding.top + padding.bottom, sw[2], dilation[0], stride[0]);
  const int64_t width =
      convolved(sx[3], padding.left + padding.right, sw[3], dilation[1], stride[1]);
  require(height > 0 && width > 0, Op::kConv2d, "the kernel must fit into the padded input",
          {x, weight});
  return append(Op::kConv2d, {x, weight, bias}, {sx[0], sw[0], height, width}, attributes);
}

Value Graph::group_norm(Value x, Value weight, Value bias, int64_t groups, float epsilon) {
  const Shape& sx = checked(x, "group_norm");
  require(sx.size() >= 2 && groups > 0 && sx[1] % groups == 0, Op::kGroupNorm,
          fmt::format("needs x [B, C, ...] with C a multiple of {} groups", groups), {x});
  require(
      checked(weight, "group_norm") == Shape{sx[1]} && checked(bias, "group_norm") == Shape{sx[1]},
      Op::kGroupNorm, "needs weight and bias [C]", {x, weight, bias});
  return append(Op::kGroupNorm, {x, weight, bias}, sx, NormAttributes{groups, epsilon});
}

Value Graph::group_statistics(Value x, int64_t groups) {
  const Shape& sx = checked(x, "group_statistics");
  require(sx.size() >= 2 && groups > 0 && sx[1] % groups == 0, Op::kGroupStatistics,
          fmt::format("needs x [B, C, ...] with C a multiple of {} groups", groups), {x});
  return in_f32(
      append(Op::kGroupStatistics, {x}, {sx[0], groups, 2}, NormAttributes{.groups = groups}));
}

Value Graph::group_normalise(Value x, Value statistics, Value weight, Value bias, float epsilon) {
  const Shape& sx = checked(x, "group_normalise");
  const Shape& given = checked(statistics, "group_normalise");
  require(sx.size() >= 2 && given.size() == 3 && given[0] == sx[0] && given[2] == 2 &&
              given[1] > 0 && sx[1] % given[1] == 0,
          Op::kGroupNormalise, "needs x [B, C, ...] and statistics [B, groups, 2]",
          {x, statistics});
  require(checked(weight, "group_normalise") == Shape{sx[1]} &&
              checked(bias, "group_normalise") == Shape{sx[1]},
          Op::kGroupNormalise, "needs weight and bias [C]", {x, weight, bias});
  return append(Op::kGroupNormalise, {x, weight, bias, statistics}, sx,
                NormAttributes{given[1], epsilon});
}

Value Graph::layer_norm(Value x, Value weight, Value bias, float epsilon) {
  const Shape& sx = checked(x, "layer_norm");
  require(!sx.empty() && (!weight.valid() || shape(weight) == Shape{sx.back()}) &&
              (!bias.valid() || shape(bias) == Shape{sx.back()}),
          Op::kLayerNorm, "needs weight and bias [C] for x [..., C]", {x, weight, bias});
  return append(Op::kLayerNorm, {x, weight, bias}, sx, NormAttributes{1, epsilon});
}

Value Graph::rms_norm(Value x, Value weight, float epsilon) {
  const Shape& sx = checked(x, "rms_norm");
  require(!sx.empty() && (!weight.valid() || shape(weight) == Shape{sx.back()}), Op::kRmsNorm,
          "needs weight [C] for x [..., C]", {x, weight});
  return append(Op::kRmsNorm, {x, weight}, sx, NormAttributes{1, epsilon});
}

Value Graph::softmax(Value x) {
  require(!checked(x, "softmax").empty(), Op::kSoftmax, "needs at least one dimension", {x});
  return append(Op::kSoftmax, {x}, shape(x));
}

Value Graph::attention(Value q, Value k, Value v, int64_t heads, bool causal) {
  const Shape& sq = checked(q, "attention");
  const Shape& sk = checked(k, "attention");
  require(sq.size() == 3 && sk.size() == 3 && checked(v, "attention") == sk && sq[0] == sk[0] &&
              sq[2] == sk[2],
          Op::kAttention, "needs q [B, Tq, C] and k, v [B, Tk, C]", {q, k, v});
  require(heads > 0 && sq[2] % heads == 0, Op::kAttention,
          fmt::format("C must be a multiple of {} heads", heads), {q});
  require(!causal || sq[1] == sk[1], Op::kAttention, "causal needs as many queries as keys",
          {q, k});
  return append(Op::kAttention, {q, k, v}, sq, AttentionAttributes{heads, causal});
}

Value Graph::geglu(Value x) {
  Shape result = checked(x, "geglu");
  require(!result.empty() && result.back() % 2 == 0, Op::kGeglu, "needs an even last dimension",
          {x});
  result.back() /= 2;
  return append(Op::kGeglu, {x}, std::move(result));
}

Value Graph::embedding(Value ids, Value table) {
  const Shape& st = checked(table, "embedding");
  require(st.size() == 2, Op::kEmbedding, "needs a table [V, D]", {ids, table});
  Shape result = checked(ids, "embedding");
  result.push_back(st[1]);
  return append(Op::kEmbedding, {ids, table}, std::move(result));
}

Value Graph::timestep_embedding(Value t, int64_t size, float max_period) {
  const Shape& st = checked(t, "timestep_embedding");
  require(st.size() == 1 && size > 0 && size % 2 == 0, Op::kTimestepEmbedding,
          "needs t [B] and an even size", {t});
  return in_f32(
      append(Op::kTimestepEmbedding, {t}, {st[0], size}, TimestepAttributes{size, max_period}));
}

Value Graph::token_slots(Value scores, int64_t height, int64_t width, int64_t merged) {
  const Shape& s = checked(scores, "token_slots");
  const int64_t tokens = height * width, destinations = (height / 2) * (width / 2);
  require(s.size() == 3 && height > 1 && width > 1 && s[1] == tokens && s[2] == destinations,
          Op::kTokenSlots, fmt::format("needs scores [B, {}, {}]", tokens, destinations), {scores});
  require(merged >= 0 && merged <= tokens - destinations, Op::kTokenSlots,
          fmt::format("cannot merge {} tokens", merged), {scores});
  return in_f32(
      append(Op::kTokenSlots, {scores}, {s[0], tokens}, TokenAttributes{height, width, merged}));
}

Value Graph::merge_tokens(Value x, Value slots, int64_t kept) {
  const Shape& sx = checked(x, "merge_tokens");
  require(sx.size() == 3 && kept > 0 && kept <= sx[1] &&
              checked(slots, "merge_tokens") == Shape{sx[0], sx[1]},
          Op::kMergeTokens, "needs x [B, N, C] and slots [B, N]", {x, slots});
  return append(Op::kMergeTokens, {x, slots}, {sx[0], kept, sx[2]});
}

Value Graph::unmerge_tokens(Value x, Value slots) {
  const Shape& sx = checked(x, "unmerge_tokens");
  const Shape& places = checked(slots, "unmerge_tokens");
  require(sx.size() == 3 && places.size() == 2 && places[0] == sx[0], Op::kUnmergeTokens,
          "needs x [B, kept, C] and slots [B, N]", {x, slots});
  return append(Op::kUnmergeTokens, {x, slots}, {sx[0], places[1], sx[2]});
}

Value Graph::reshape(Value x, const Shape& shape) {
  require(element_count(checked(x, "reshape")) == element_count(shape), Op::kReshape,
          "cannot become " + to_string(shape), {x});
  return append(Op::kReshape, {x}, shape, ShapeAttributes{shape});
}

Value Graph::permute(Value x, Shape order) {
  const Shape& sx = checked(x, "permute");
  Shape sorted = order;
  std::sort(sorted.begin(), sorted.end());
  Shape identity(sx.size());
  std::iota(identity.begin(), identity.end(), int64_t{0});
  require(sorted == identity, Op::kPermute,
          "the order must name each axis once: " + to_string(order), {x});
  Shape result(sx.size());
  for (size_t i = 0; i < order.size(); ++i) result[i] = sx[static_cast<size_t>(order[i])];
  return append(Op::kPermute, {x}, std::move(result), ShapeAttributes{std::move(order)});
}

Value Graph::concat(const std::vector<Value>& values, int64_t axis) {
  if (values.empty()) throw GraphError("concat: needs at least one value");
  const auto at = static_cast<size_t>(axis_of(values[0], axis, Op::kConcat));
  Shape result = shape(values[0]);
  for (size_t i = 1; i < values.size(); ++i) {
    Shape expected = checked(values[i], "concat");
    require(expected.size() == result.size(), Op::kConcat, "ranks must be equal", values);
    result[at] += expected[at];
    expected[at] = result[at];
    require(expected == result, Op::kConcat, "the other dimensions must be equal", values);
  }
  return append(Op::kConcat, values, std::move(result), AxisAttributes{static_cast<int64_t>(at)});
}

Value Graph::slice(Value x, int64_t axis, int64_t begin, int64_t end) {
  const int64_t at = axis_of(x, axis, Op::kSlice);
  Shape result = shape(x);
  int64_t& size = result[static_cast<size_t>(at)];
  require(0 <= begin && begin < end && end <= size, Op::kSlice,
          fmt::format("[{}, {}) is not inside axis {}", begin, end, at), {x});
  size = end - begin;
  return append(Op::kSlice, {x}, std::move(result), AxisAttributes{at, begin, end});
}

Value Graph::pad2d(Value x, const Padding& padding) {
  Shape result = checked(x, "pad2d");
  require(result.size() == 4 && padding.top >= 0 && padding.left >= 0 && padding.bottom >= 0 &&
              padding.right >= 0,
          Op::kPad2d, "needs [B, C, H, W] and padding >= 0", {x});
  result[2] += padding.top + padding.bottom;
  result[3] += padding.left + padding.right;
  return append(Op::kPad2d, {x}, std::move(result), padding);
}

Value Graph::broadcast_to(Value x, const Shape& shape) {
  Shape result;
  require(broadcast(checked(x, "broadcast"), shape, result) && result == shape, Op::kBroadcast,
          "cannot become " + to_string(shape), {x});
  return append(Op::kBroadcast, {x}, shape, ShapeAttributes{shape});
}

Value Graph::upsample_nearest(Value x, int64_t factor) {
  Shape result = checked(x, "upsample_nearest");
  require(result.size() == 4 && factor >= 1, Op::kUpsampleNearest,
          "needs [B, C, H, W] and a factor >= 1", {x});
  result[2] *= factor;
  result[3] *= factor;
  return append(Op::kUpsampleNearest, {x}, std::move(result), UpsampleAttributes{factor, factor});
}

Value Graph::mean(Value x, int64_t axis) {
  const int64_t at = axis_of(x, axis, Op::kMean);
  Shape result = shape(x);
  result[static_cast<size_t>(at)] = 1;
  return append(Op::kMean, {x}, std::move(result), AxisAttributes{at});
}

Value Graph::in_f32(Value x) {
  checked(x, "in_f32");
  nodes_[static_cast<size_t>(x.index)].numerics = Numerics::kF32;
  return x;
}

void Graph::output(std::string name, Value value) {
  checked(value, "output");
  outputs_.push_back({std::move(name), value});
}

void Graph::tap(std::string name, Value value) {
  checked(value, "tap");
  taps_.push_back({std::move(name), value});
}

}  // namespace safelight::graph
