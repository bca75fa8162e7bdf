#include "engine/cpu/cpu_weights.h"

#include "engine/cpu/kernels/parallel.h"
#include "weights/convert.h"

namespace safelight::engine::cpu {

namespace {

/// Converts a tensor by all threads.
template <class T>
void convert(const weights::TensorView& tensor, T* out,
             void (*piecewise)(const weights::TensorView&, std::span<T>)) {
  constexpr int64_t kGrain = 1 << 16;
  const auto element = static_cast<int64_t>(graph::dtype_size(tensor.dtype));
  parallel_for(tensor.count(), kGrain, [&](int64_t begin, int64_t end) {
    weights::TensorView piece = tensor;
    piece.shape = {end - begin};
    piece.data = tensor.data.subspan(static_cast<size_t>(begin * element),
                                     static_cast<size_t>((end - begin) * element));
    piecewise(piece, {out + begin, static_cast<size_t>(end - begin)});
  });
}

}  // namespace

uint64_t CpuWeights::bytes() const {
  uint64_t total = 0;
  for (const auto& [name, values] : f32_) total += values.size() * sizeof(float);
  for (const auto& [key, memory] : packed_) total += memory.get_desc().get_size();
  return total;
}

const std::vector<float>& CpuWeights::f32(const std::string& name) {
  const auto found = f32_.find(name);
  if (found != f32_.end()) return found->second;
  const weights::TensorView& tensor = weights_.at(name);
  std::vector<float> values(static_cast<size_t>(tensor.count()));
  weights::to_f32(tensor, values);
  return f32_.emplace(name, std::move(values)).first->second;
}

std::optional<dnnl::memory::desc> CpuWeights::packed_layout(const std::string& name,
                                                            dnnl::memory::data_type type) const {
  const auto found = packed_.find({name, type});
  if (found == packed_.end()) return std::nullopt;
  return found->second.get_desc();
}

dnnl::memory CpuWeights::packed(const std::string& name, const dnnl::memory::desc& plain,
                                const dnnl::memory::desc& wanted) {
  const Key key{name, wanted.get_data_type()};
  const auto found = packed_.find(key);
  if (found != packed_.end() && found->second.get_desc() == wanted) return found->second;

  dnnl::memory from(plain, engine_);
  const weights::TensorView& tensor = weights_.at(name);
  if (wanted.get_data_type() == dnnl::memory::data_type::bf16) {
    convert(tensor, static_cast<uint16_t*>(from.get_data_handle()), &weights::to_bf16);
  } else {
    convert(tensor, static_cast<float*>(from.get_data_handle()), &weights::to_f32);
  }
  tensor.release_pages();
  dnnl::memory to = from;
  if (plain != wanted) {
    to = dnnl::memory(wanted, engine_);
    dnnl::stream stream(engine_);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  }
  packed_.insert_or_assign(key, to);
  return to;
}

}  // namespace safelight::engine::cpu
