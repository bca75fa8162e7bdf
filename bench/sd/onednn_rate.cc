#include "bench/sd/onednn_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace safelight::bench {
namespace {

using dnnl::memory;
using Clock = std::chrono::steady_clock;

constexpr size_t kAlignment = 64;
/// Batches of matrix products are timed on a part of them where all would take more than this.
constexpr int64_t kMaxElements = int64_t{1} << 26;

/// Primitives run on memory of the engine that made them only.
const dnnl::engine& the_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// A primitive with what it needs to run, and how much of the product it computes.
struct Candidate {
  std::string layout;
  dnnl::primitive primitive;
  std::vector<std::pair<int, memory::desc>> arguments;
  double scale = 1;
  std::vector<double> seconds;
};

template <class Descriptor>
Candidate candidate(const std::string& layout, const Descriptor& chosen, dnnl::primitive primitive,
                    double scale) {
  return {.layout = layout,
          .primitive = std::move(primitive),
          .arguments = {{DNNL_ARG_SRC, chosen.src_desc()},
                        {DNNL_ARG_WEIGHTS, chosen.weights_desc()},
                        {DNNL_ARG_DST, chosen.dst_desc()},
                        {DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc()}},
          .scale = scale};
}

dnnl::primitive_attr own_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

Candidate convolution(const dnnl::engine& engine, const Product& product, memory::data_type type,
                      bool channels_last) {
  const auto [batch, in, height, width, out] = product.sizes;
  const graph::Conv2dAttributes& a = product.attributes;
  const auto result_size = [&](int64_t size, int64_t before, int64_t after, size_t axis) {
    return (size + before + after - product.kernel[axis]) / a.stride[axis] + 1;
  };
  const graph::Padding& p = a.padding;
  const auto tag = channels_last ? memory::format_tag::nhwc : memory::format_tag::any;
  const memory::desc source({batch, in, height, width}, type, tag);
  const memory::desc weight({out, in, product.kernel[0], product.kernel[1]}, type,
                            memory::format_tag::any);
  const memory::desc result(
      {batch, out, result_size(height, p.top, p.bottom, 0), result_size(width, p.left, p.right, 1)},
      type, tag);
  const dnnl::convolution_forward::primitive_desc chosen(
      engine, dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, source,
      weight, result, {a.stride[0], a.stride[1]}, {p.top, p.left}, {p.bottom, p.right},
      own_scratchpad());
  return candidate(channels_last ? "channels-last" : "blocked", chosen,
                   dnnl::convolution_forward(chosen), 1);
}

Candidate matmul(const dnnl::engine& engine, const Product& product, memory::data_type type,
                 bool rows) {
  const auto [all, m, n, k, unused] = product.sizes;
  const int64_t largest = std::max({m * n, m * k, n * k});
  const int64_t batch = std::clamp<int64_t>(kMaxElements / largest, 1, all);
  const auto described = [&](int64_t height, int64_t width, bool plain) {
    using Tag = memory::format_tag;
    if (all == 1) return memory::desc({height, width}, type, plain ? Tag::ab : Tag::any);
    return memory::desc({batch, height, width}, type, plain ? Tag::abc : Tag::any);
  };
  const dnnl::matmul::primitive_desc chosen(engine, described(m, k, rows), described(k, n, false),
                                            described(m, n, rows), own_scratchpad());
  return candidate(rows ? "rows" : "blocked", chosen, dnnl::matmul(chosen),
                   static_cast<double>(all) / static_cast<double>(batch));
}

struct Free {
  void operator()(void* data) const { std::free(data); }
};

/// Memory that all primitives use in turn: what is in it does not matter as long as it is finite.
class Operands {
 public:
  explicit Operands(const std::vector<size_t>& sizes) {
    for (const size_t size : sizes) {
      const size_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
      data_.emplace_back(std::aligned_alloc(kAlignment, std::max(rounded, kAlignment)));
      // 0.011 in bf16 and in float32.
      std::memset(data_.back().get(), 0x3C, rounded);
    }
  }
  void* at(size_t index) const { return data_[index].get(); }

 private:
  std::vector<std::unique_ptr<void, Free>> data_;
};

}  // namespace

struct OnednnRate::Timed {
  std::vector<Candidate> candidates;

  const Candidate& fastest() const {
    return *std::min_element(candidates.begin(), candidates.end(),
                             [](const Candidate& a, const Candidate& b) {
                               return median(a.seconds) < median(b.seconds);
                             });
  }
};

OnednnRate::OnednnRate(std::vector<Product> products, bool bf16) : products_(std::move(products)) {
  const dnnl::engine& engine = the_engine();
  const auto type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  for (const Product& product : products_) {
    Timed timed;
    for (const bool plain : {false, true}) {
      timed.candidates.push_back(product.kind == Product::Kind::kConv2d
                                     ? convolution(engine, product, type, plain)
                                     : matmul(engine, product, type, plain));
    }
    timed_.push_back(std::move(timed));
  }
}

OnednnRate::~OnednnRate() = default;

double OnednnRate::run() {
  const dnnl::engine& engine = the_engine();
  dnnl::stream stream(engine);
  std::vector<size_t> sizes(4);
  for (const Timed& timed : timed_) {
    for (const Candidate& c : timed.candidates) {
      for (size_t i = 0; i < sizes.size(); ++i)
        sizes[i] = std::max(sizes[i], c.arguments[i].second.get_size());
    }
  }
  const Operands operands(sizes);
  double total = 0;
  for (size_t i = 0; i < timed_.size(); ++i) {
    double least = 0;
    // Once the faster layout is clear, only that one is run.
    for (Candidate& c : timed_[i].candidates) {
      if (c.seconds.size() > 1 && &c != &timed_[i].fastest()) continue;
      std::unordered_map<int, memory> arguments;
      for (size_t j = 0; j < sizes.size(); ++j)
        arguments.emplace(c.arguments[j].first,
                          memory(c.arguments[j].second, engine, operands.at(j)));
      const auto time = [&] {
        const auto begin = Clock::now();
        c.primitive.execute(stream, arguments);
        stream.wait();
        return std::chrono::duration<double>(Clock::now() - begin).count() * c.scale;
      };
      // The first run of all warms up; later ones find caches as a network leaves them.
      if (c.seconds.empty()) time();
      c.seconds.push_back(time());
      if (least == 0 || c.seconds.back() < least) least = c.seconds.back();
    }
    total += least * static_cast<double>(products_[i].count);
  }
  return total;
}

std::vector<OnednnRate::Row> OnednnRate::rows() const {
  std::vector<Row> rows;
  for (size_t i = 0; i < timed_.size(); ++i) {
    const Candidate& fastest = timed_[i].fastest();
    rows.push_back({&products_[i], median(fastest.seconds), fastest.layout});
  }
  return rows;
}

double OnednnRate::seconds() const {
  double total = 0;
  for (const Row& row : rows()) total += row.seconds * static_cast<double>(row.product->count);
  return total;
}

double OnednnRate::flops() const {
  double total = 0;
  for (const Product& product : products_)
    total += product.flops * static_cast<double>(product.count);
  return total;
}

std::string describe(const Product& product) {
  const auto& s = product.sizes;
  if (product.kind == Product::Kind::kMatMul)
    return fmt::format("matmul {} of {}x{}x{}", s[0], s[1], s[2], s[3]);
  return fmt::format("conv2d {}x{}x{}x{} -> {} {}x{}{}", s[0], s[1], s[2], s[3], s[4],
                     product.kernel[0], product.kernel[1],
                     product.attributes.stride[0] == 1
                         ? ""
                         : fmt::format(" stride {}", product.attributes.stride[0]));
}

}  // namespace safelight::bench
