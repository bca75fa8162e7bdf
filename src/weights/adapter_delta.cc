#include "weights/adapter_delta.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "weights/convert.h"

namespace safelight::weights {
namespace {

/// Four lanes, as in convert.cc: vector code at -O2, the same bits on every processor.
using F32x4 [[gnu::vector_size(16)]] = float;
constexpr int64_t kLanes = 4, kVectors = 2, kRows = 4;

inline F32x4 load(const float* from) {
  F32x4 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// kRows rows and kVectors vectors of the product, from column `c` on.
inline void multiply_tile(const float* a, const float* b, int64_t inner, int64_t columns, int64_t c,
                          float* out) {
  F32x4 sums[kRows][kVectors] = {};
  for (int64_t k = 0; k < inner; ++k) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const F32x4 right = load(b + k * columns + c + v * kLanes);
      for (int64_t r = 0; r < kRows; ++r) sums[r][v] += a[r * inner + k] * right;
    }
  }
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t v = 0; v < kVectors; ++v)
      std::memcpy(out + r * columns + c + v * kLanes, &sums[r][v], sizeof sums[r][v]);
  }
}

/// One element of the product, summed as the tiles sum.
inline float multiply_one(const float* a, const float* b, int64_t inner, int64_t columns) {
  float sum = 0;
  for (int64_t k = 0; k < inner; ++k) sum += a[k] * b[k * columns];
  return sum;
}

}  // namespace

void multiply(const float* a, const float* b, int64_t rows, int64_t inner, int64_t columns,
              float* out) {
  constexpr int64_t kStep = kLanes * kVectors;
  const int64_t tiled_rows = rows / kRows * kRows, tiled_columns = columns / kStep * kStep;
  for (int64_t r = 0; r < tiled_rows; r += kRows) {
    for (int64_t c = 0; c < tiled_columns; c += kStep)
      multiply_tile(a + r * inner, b, inner, columns, c, out + r * columns);
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = r < tiled_rows ? tiled_columns : 0; c < columns; ++c)
      out[r * columns + c] = multiply_one(a + r * inner, b + c, inner, columns);
  }
}

namespace {

/// A part in float32 as a matrix of shape[0] rows.
Tensor matrix(const TensorView& view) {
  Tensor values = to_tensor(view);
  values.shape = {view.shape[0], view.count() / view.shape[0]};
  return values;
}

Tensor transposed(const Tensor& m) {
  Tensor turned({m.shape[1], m.shape[0]});
  for (int64_t i = 0; i < m.shape[0]; ++i) {
    for (int64_t j = 0; j < m.shape[1]; ++j)
      turned.data[static_cast<size_t>(j * m.shape[0] + i)] =
          m.data[static_cast<size_t>(i * m.shape[1] + j)];
  }
  return turned;
}

Tensor product(const Tensor& a, const Tensor& b) {
  Tensor out({a.shape[0], b.shape[1]});
  multiply(a.begin(), b.begin(), a.shape[0], a.shape[1], b.shape[1], out.begin());
  return out;
}

/// The right factor of a Tucker product: core [p, q, k...] and b [q, n] give [p, n * k], where
/// out[p, n, k] = sum over q of core[p, q, k] b[q, n].
Tensor with_core(const TensorView& core, const Tensor& b) {
  const int64_t p_count = core.shape[0], q_count = core.shape[1], n_count = b.shape[1];
  const int64_t kernel = core.count() / (p_count * q_count);
  const Tensor values = to_tensor(core), turned = transposed(b);  // [n, q]
  Tensor out({p_count, n_count * kernel});
  for (int64_t p = 0; p < p_count; ++p) {
    // [n, q] x [q, k] -> [n, k]
    multiply(turned.begin(), values.begin() + p * q_count * kernel, n_count, q_count, kernel,
             out.begin() + p * n_count * kernel);
  }
  return out;
}

/// left [rows, rank] x right [rank, row_size].
class LowRank : public Delta {
 public:
  LowRank(Tensor left, Tensor right) : left_(std::move(left)), right_(std::move(right)) {}
  int64_t rows() const override { return left_.shape[0]; }
  int64_t row_size() const override { return right_.shape[1]; }
  void read(int64_t first, int64_t count, std::span<float> out) const override {
    const int64_t rank = left_.shape[1];
    multiply(left_.begin() + first * rank, right_.begin(), count, rank, row_size(), out.data());
  }

 private:
  Tensor left_, right_;
};

/// Two of them, multiplied element by element.
class Hadamard : public Delta {
 public:
  Hadamard(LowRank a, LowRank b) : a_(std::move(a)), b_(std::move(b)) {}
  int64_t rows() const override { return a_.rows(); }
  int64_t row_size() const override { return a_.row_size(); }
  void read(int64_t first, int64_t count, std::span<float> out) const override {
    std::vector<float> other(out.size());
    a_.read(first, count, out);
    b_.read(first, count, other);
    for (size_t i = 0; i < out.size(); ++i) out[i] *= other[i];
  }

 private:
  LowRank a_, b_;
};

/// The Kronecker product of a [p, q] and b [m, n]: row (i, j) is a[i, 0] b[j], a[i, 1] b[j], ...
class Kronecker : public Delta {
 public:
  Kronecker(Tensor a, Tensor b) : a_(std::move(a)), b_(std::move(b)) {}
  int64_t rows() const override { return a_.shape[0] * b_.shape[0]; }
  int64_t row_size() const override { return a_.shape[1] * b_.shape[1]; }
  void read(int64_t first, int64_t count, std::span<float> out) const override {
    float* to = out.data();
    for (int64_t row = first; row < first + count; ++row) {
      const float* const a = a_.begin() + row / b_.shape[0] * a_.shape[1];
      const float* const b = b_.begin() + row % b_.shape[0] * b_.shape[1];
      for (int64_t i = 0; i < a_.shape[1]; ++i) {
        for (int64_t j = 0; j < b_.shape[1]; ++j) *to++ = a[i] * b[j];
      }
    }
  }

 private:
  Tensor a_, b_;
};

/// As it is in the file.
class Whole : public Delta {
 public:
  explicit Whole(TensorView view) : view_(std::move(view)) {}
  int64_t rows() const override { return view_.shape.empty() ? 1 : view_.shape[0]; }
  int64_t row_size() const override { return view_.count() / rows(); }
  void read(int64_t first, int64_t /*count*/, std::span<float> out) const override {
    to_f32(view_, first * row_size(), out);
  }

 private:
  TensorView view_;
};

/// The factors named `a` and `b`, with `core` between them where the module has it. With a core,
/// LyCORIS has `a` as [rank, rows].
LowRank factors(const AdapterModule& module, std::string_view a, std::string_view b,
                std::string_view core, bool turned) {
  Tensor left = matrix(*module.part(a)), right = matrix(*module.part(b));
  if (const TensorView* const between = module.part(core)) {
    right = with_core(*between, right);
    if (turned) left = transposed(left);
  }
  return {std::move(left), std::move(right)};
}

/// A factor of LoKr, whole or itself a product.
Tensor lokr_factor(const AdapterModule& module, const std::string& name) {
  if (const TensorView* const whole = module.part(name)) return matrix(*whole);
  Tensor left = matrix(*module.part(name + "_a")), right = matrix(*module.part(name + "_b"));
  const TensorView* const core = name == "w2" ? module.part("t2") : nullptr;
  if (core == nullptr) return product(left, right);
  return product(transposed(left), with_core(*core, right));
}

/// The elements behind the first `axes` dimensions.
int64_t inner_count(const TensorView& view, size_t axes) {
  int64_t count = 1;
  for (size_t i = axes; i < view.shape.size(); ++i) count *= view.shape[i];
  return count;
}

/// Of factors(), from shapes alone.
DeltaSize factors_size(const AdapterModule& module, std::string_view a, std::string_view b,
                       std::string_view core, bool turned) {
  const TensorView &left = *module.part(a), &right = *module.part(b);
  const TensorView* const between = module.part(core);
  if (between == nullptr) return {left.shape[0], inner_count(right, 1)};
  return {left.shape[turned ? 1 : 0], right.shape[1] * inner_count(*between, 2)};
}

/// Above any layer, and small enough that products of two sizes do not overflow.
constexpr int64_t kMostSize = int64_t{1} << 30;

std::optional<DeltaSize> lokr_size(const AdapterModule& module) {
  DeltaSize size{1, 1};
  for (const std::string name : {"w1", "w2"}) {
    const TensorView* const whole = module.part(name);
    const DeltaSize factor =
        whole ? DeltaSize{whole->shape[0], inner_count(*whole, 1)}
              : factors_size(module, name + "_a", name + "_b", name == "w2" ? "t2" : "", true);
    if (factor.rows > kMostSize || factor.row_size > kMostSize) return std::nullopt;
    size = {size.rows * factor.rows, size.row_size * factor.row_size};
  }
  return size;
}

}  // namespace

std::optional<DeltaSize> delta_size(const AdapterModule& module) {
  if (module.kind == AdapterKind::kLora) return factors_size(module, "up", "down", "mid", false);
  if (module.kind == AdapterKind::kLoha) {
    const DeltaSize size = factors_size(module, "w1_a", "w1_b", "t1", true);
    if (size == factors_size(module, "w2_a", "w2_b", "t2", true)) return size;
    return std::nullopt;
  }
  if (module.kind == AdapterKind::kLokr) return lokr_size(module);
  if (const TensorView* const whole = module.part("diff"))
    return DeltaSize{whole->shape.empty() ? 1 : whole->shape[0], inner_count(*whole, 1)};
  return std::nullopt;
}

std::shared_ptr<const Delta> make_delta(const AdapterModule& module) {
  switch (module.kind) {
    case AdapterKind::kLora:
      return std::make_shared<LowRank>(factors(module, "up", "down", "mid", false));
    case AdapterKind::kLoha:
      return std::make_shared<Hadamard>(factors(module, "w1_a", "w1_b", "t1", true),
                                        factors(module, "w2_a", "w2_b", "t2", true));
    case AdapterKind::kLokr:
      return std::make_shared<Kronecker>(lokr_factor(module, "w1"), lokr_factor(module, "w2"));
    case AdapterKind::kDiff:
    case AdapterKind::kNorm:
      if (const TensorView* const whole = module.part("diff"))
        return std::make_shared<Whole>(*whole);
      return nullptr;
    case AdapterKind::kIa3:
    case AdapterKind::kUnknown:
    case AdapterKind::kOft:
    case AdapterKind::kGlora:
      break;
  }
  return nullptr;
}

}  // namespace safelight::weights
