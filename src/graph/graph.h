#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/tensor.h"
#include "graph/shape.h"

namespace safelight::graph {

/// A tensor in a Graph: the result of one node. Cheap to copy; meaningless outside its graph.
struct Value {
  int32_t index = -1;
  bool valid() const { return index >= 0; }
  bool operator==(const Value&) const = default;
};

/// The operators. Each has one meaning, fixed by graph/interpreter.cc; every engine is tested
/// against that.
enum class Op : uint8_t {
  // Sources
  kInput,
  kParam,
  kConstant,
  // Element by element
  kSilu,
  kGelu,
  kGeluTanh,
  kQuickGelu,
  kRelu,
  kSigmoid,
  kTanh,
  kExp,
  kSin,
  kCos,
  kSqrt,
  kSquare,
  kAbs,
  kAffine,
  kClamp,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMaximum,
  // Products
  kLinear,
  kMatMul,
  kConv2d,
  // Normalisation
  kGroupNorm,
  kGroupStatistics,
  kGroupNormalise,
  kLayerNorm,
  kRmsNorm,
  kSoftmax,
  // Transformers
  kAttention,
  kGeglu,
  kEmbedding,
  kTimestepEmbedding,
  kTokenSlots,
  kMergeTokens,
  kUnmergeTokens,
  // Shape and movement
  kReshape,
  kPermute,
  kConcat,
  kSlice,
  kPad2d,
  kBroadcast,
  kUpsampleNearest,
  kMean,
};

/// "conv2d", "group_norm", ...: used in profiles and messages.
std::string_view op_name(Op op);

/// What an operator asks of its arithmetic and of its result's storage, beyond the engine's
/// precision.
enum class Numerics : uint8_t {
  kAny,  ///< The engine's precision.
  kF32,  ///< float32 arithmetic and storage, whatever the precision.
};

struct NameAttributes {
  std::string name;
};
struct ConstantAttributes {
  std::vector<float> data;
};
/// kAffine: x * a + b; kClamp: min(max(x, a), b).
struct ScalarAttributes {
  float a = 0, b = 0;
};
struct MatMulAttributes {
  bool transpose_b = false;
};
/// Zero padding of the two spatial dimensions.
struct Padding {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  static Padding same(int64_t n) { return {n, n, n, n}; }
};
struct Conv2dAttributes {
  std::array<int64_t, 2> stride{1, 1};
  Padding padding;
  std::array<int64_t, 2> dilation{1, 1};
  int64_t groups = 1;
};
struct NormAttributes {
  int64_t groups = 1;  ///< kGroupNorm, kGroupStatistics and kGroupNormalise only
  float epsilon = 1e-5F;
};
struct AttentionAttributes {
  int64_t heads = 1;
  bool causal = false;
};
/// Sinusoidal embedding (Vaswani et al. 2017) as Stable Diffusion uses it: cosines first.
struct TimestepAttributes {
  int64_t size = 0;
  float max_period = 10000;
};
/// Token merging over a picture of height x width tokens.
struct TokenAttributes {
  int64_t height = 0, width = 0;
  int64_t merged = 0;  ///< tokens that give up their place
};
struct AxisAttributes {
  int64_t axis = 0, begin = 0, end = 0;  ///< begin and end: kSlice only
};
struct ShapeAttributes {
  Shape shape;  ///< kPermute: the order of axes; kReshape and kBroadcast: the result's shape
};
struct UpsampleAttributes {
  int64_t factor_y = 2, factor_x = 2;
};

using Attributes =
    std::variant<std::monostate, NameAttributes, ConstantAttributes, ScalarAttributes,
                 MatMulAttributes, Padding, Conv2dAttributes, NormAttributes, AttentionAttributes,
                 TimestepAttributes, TokenAttributes, AxisAttributes, ShapeAttributes,
                 UpsampleAttributes>;

struct Node {
  Op op = Op::kInput;
  std::vector<Value> inputs;  ///< an absent bias or weight is an invalid Value
  Attributes attributes;
  Shape shape;
  Numerics numerics = Numerics::kAny;

  /// The attributes of a node whose operator has that kind; another kind is a bug and throws.
  template <class A>
  const A& as() const {
    return std::get<A>(attributes);
  }
};

/// A model that breaks an operator's shape rules: a bug of the model's code, since sizes from files
/// and requests are checked before a graph is built.
class GraphError : public std::logic_error {
  using std::logic_error::logic_error;
};

/// A named result of a graph.
struct NamedValue {
  std::string name;
  Value value;
};

/// A tensor computation, built node by node in topological order. Values carry shapes only: the
/// engine's precision sets their storage. All builders throw GraphError where shapes break the rule
/// that their comment states.
class Graph {
 public:
  /// A tensor given at run time. `numerics` kF32 for what bf16 cannot hold, such as token ids and
  /// timesteps.
  Value input(std::string name, Shape shape, Numerics numerics = Numerics::kAny);
  /// A weight, by its name in the bound weights. The same name gives the same Value.
  Value param(const std::string& name, const Shape& shape);
  Value constant(const Tensor& tensor);

  Value unary(Op op, Value x);  ///< kSilu .. kAbs
  Value silu(Value x) { return unary(Op::kSilu, x); }
  Value gelu(Value x) { return unary(Op::kGelu, x); }
  Value quick_gelu(Value x) { return unary(Op::kQuickGelu, x); }
  Value affine(Value x, float scale, float shift);
  Value clamp(Value x, float low, float high);

  Value binary(Op op, Value a, Value b);  ///< kAdd .. kMaximum, NumPy broadcasting
  Value add(Value a, Value b) { return binary(Op::kAdd, a, b); }
  Value mul(Value a, Value b) { return binary(Op::kMul, a, b); }

  /// x [..., K], weight [N, K], bias [N] or absent -> [..., N]
  Value linear(Value x, Value weight, Value bias = {});
  /// a [..., M, K], b [..., K, N] (or [..., N, K] with transpose_b), equal leading dimensions ->
  /// [..., M, N]
  Value matmul(Value a, Value b, bool transpose_b = false);
  /// x [B, C, H, W], weight [O, C / groups, kh, kw], bias [O] or absent -> [B, O, H', W']
  Value conv2d(Value x, Value weight, Value bias, const Conv2dAttributes& attributes);

  /// x [B, C, ...], weight and bias [C]; statistics over each of `groups` groups of channels and
  /// all positions.
  Value group_norm(Value x, Value weight, Value bias, int64_t groups, float epsilon);
  /// group_norm in two: x [B, C, ...] -> [B, groups, 2], mean and variance of each group, in
  /// float32
  Value group_statistics(Value x, int64_t groups);
  /// and x with such statistics, its own or others, [B, groups, 2] -> normalised.
  Value group_normalise(Value x, Value statistics, Value weight, Value bias, float epsilon);
  /// Over the last dimension; weight and bias [C] or absent.
  Value layer_norm(Value x, Value weight, Value bias, float epsilon);
  Value rms_norm(Value x, Value weight, float epsilon);
  Value softmax(Value x);  ///< over the last dimension

  /// q [B, Tq, H * D], k and v [B, Tk, H * D] -> [B, Tq, H * D]; scale 1 / sqrt(D). Causal: Tq ==
  /// Tk.
  Value attention(Value q, Value k, Value v, int64_t heads, bool causal = false);
  /// x [..., 2 N] -> [..., N]: first half * gelu(second half)
  Value geglu(Value x);
  /// ids [..] (whole numbers, checked against the table's rows before a run), table [V, D] -> [..,
  /// D]
  Value embedding(Value ids, Value table);
  /// t [B] -> [B, size], in float32
  Value timestep_embedding(Value t, int64_t size, float max_period = 10000);

  /// Token merging (Bolya & Hoffman 2023). The tokens of a picture are cut in windows of 2 x 2,
  /// whose first tokens are the destinations. scores [B, height * width, destinations]: how alike
  /// each token is to each destination. The `merged` tokens with the highest score of all that are
  /// no destination (the first of equal ones) share the place of the destination that they are most
  /// like; the others keep places of their own, in order. -> the place of each token,
  /// [B, height * width], in float32
  Value token_slots(Value scores, int64_t height, int64_t width, int64_t merged);
  /// x [B, N, C], slots [B, N] -> [B, kept, C]: the mean of the tokens with each place
  Value merge_tokens(Value x, Value slots, int64_t kept);
  /// x [B, kept, C], slots [B, N] -> [B, N, C]: each token's place
  Value unmerge_tokens(Value x, Value slots);

  Value reshape(Value x, const Shape& shape);  ///< same number of elements
  Value permute(Value x, Shape order);
  Value concat(const std::vector<Value>& values, int64_t axis);
  Value slice(Value x, int64_t axis, int64_t begin, int64_t end);
  Value pad2d(Value x,
              const Padding& padding);  ///< zeros around the last two dimensions of [B, C, H, W]
  Value broadcast_to(Value x, const Shape& shape);
  Value upsample_nearest(Value x,
                         int64_t factor);  ///< [B, C, H, W] -> [B, C, H * factor, W * factor]
  Value mean(Value x, int64_t axis);       ///< keeps the axis with size 1

  /// Asks for float32 arithmetic and storage of this value's node; returns it.
  Value in_f32(Value x);

  /// Makes `value` a result under that name.
  void output(std::string name, Value value);
  /// Names an inner value for tests and debugging; it costs nothing unless it is made an output.
  void tap(std::string name, Value value);

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(Value value) const { return nodes_.at(static_cast<size_t>(value.index)); }
  const Shape& shape(Value value) const { return node(value).shape; }
  const std::vector<Value>& inputs() const { return inputs_; }
  const std::vector<NamedValue>& outputs() const { return outputs_; }
  const std::vector<NamedValue>& taps() const { return taps_; }

 private:
  Value append(Op op, std::vector<Value> inputs, Shape shape, Attributes attributes = {});
  const Shape& checked(Value value, const char* what) const;
  void require(bool condition, Op op, const std::string& rule,
               const std::vector<Value>& inputs) const;
  int64_t axis_of(Value x, int64_t axis, Op op) const;

  std::vector<Node> nodes_;
  std::vector<Value> inputs_;
  std::vector<NamedValue> outputs_;
  std::vector<NamedValue> taps_;
  std::vector<std::pair<std::string, Value>> params_;
};

}  // namespace safelight::graph
