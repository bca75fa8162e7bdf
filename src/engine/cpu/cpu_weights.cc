#include "engine/cpu/cpu_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/log.h"
#include "engine/cpu/kernels/parallel.h"
#include "weights/convert.h"

namespace safelight::engine::cpu {

namespace {

constexpr int64_t kGrain = 1 << 16;  // elements that are worth another thread

/// Converts a tensor by all threads.
template <class T>
void convert(const weights::TensorView& tensor, T* out,
             void (*piecewise)(const weights::TensorView&, int64_t, std::span<T>)) {
  parallel_for(tensor.count(), kGrain, [&](int64_t begin, int64_t end) {
    piecewise(tensor, begin, {out + begin, static_cast<size_t>(end - begin)});
  });
}

/// A layout in words: equal texts, equal layouts.
std::string text_of(const dnnl::memory::desc& layout) {
  return fmt::format("{} [{}] strides [{}] blocks [{}] of [{}]",
                     layout.get_data_type() == dnnl::memory::data_type::bf16 ? "bf16" : "f32",
                     fmt::join(layout.get_padded_dims(), ","), fmt::join(layout.get_strides(), ","),
                     fmt::join(layout.get_inner_blks(), ","),
                     fmt::join(layout.get_inner_idxs(), ","));
}

}  // namespace

CpuWeights::~CpuWeights() {
  if (!cache_ || !cache_lacks_) return;
  std::vector<PackedPiece> pieces;
  for (const auto& [key, bytes] : own_forms_) pieces.push_back({key.first, key.second, bytes});
  if (Status written = cache_->write(pieces); !written) {
    spdlog::warn("packed weights are not kept: {}", written.error().message);
  }
}

uint64_t CpuWeights::bytes() const {
  uint64_t total = 0;
  for (const auto& [name, values] : f32_) total += values.size() * sizeof(float);
  for (const auto& [key, form] : own_forms_) total += form.size();
  for (const auto& [name, tensor] : computed_) total += tensor.data.size();
  return total;
}

const weights::TensorView& CpuWeights::tensor(const std::string& name) {
  if (!changed_.contains(name)) return file_tensor(name);
  const auto found = computed_.find(name);
  if (found != computed_.end()) return found->second;
  return computed_.emplace(name, tensor_now(name)).first->second;
}

weights::TensorView CpuWeights::tensor_now(const std::string& name) const {
  const auto found = changed_.find(name);
  if (found == changed_.end()) return file_tensor(name);
  if (const auto kept = computed_.find(name); kept != computed_.end()) return kept->second;
  const weights::ChangedWeight& weight = *found->second;
  Tensor values(weight.shape());
  const int64_t size = weight.row_size();
  parallel_for(weight.rows(), std::max<int64_t>(1, kGrain / size), [&](int64_t begin, int64_t end) {
    // A few rows at a time, so that what is worked on stays in the cache.
    const int64_t step = std::max<int64_t>(4, kGrain / size);
    for (int64_t row = begin; row < end; row += step) {
      const int64_t count = std::min(step, end - row);
      weight.read(row, count, {values.begin() + row * size, static_cast<size_t>(count * size)});
    }
  });
  weight.release_pages();
  return weights::view_of(std::move(values));
}

const std::vector<float>& CpuWeights::f32(const std::string& name) {
  if (CpuWeights& other = holder(name); &other != this) return other.f32(name);
  const auto found = f32_.find(name);
  if (found != f32_.end()) return found->second;
  const weights::TensorView tensor = tensor_now(name);
  std::vector<float> values(static_cast<size_t>(tensor.count()));
  weights::to_f32(tensor, values);
  return f32_.emplace(name, std::move(values)).first->second;
}

std::optional<dnnl::memory::desc> CpuWeights::packed_layout(const std::string& name,
                                                            dnnl::memory::data_type type) const {
  if (base_ && !changed_.contains(name)) return base_->packed_layout(name, type);
  const auto found = packed_.find({name, type});
  if (found == packed_.end()) return std::nullopt;
  return found->second.get_desc();
}

dnnl::memory CpuWeights::packed(const std::string& name, const dnnl::memory::desc& plain,
                                const dnnl::memory::desc& wanted) {
  if (CpuWeights& other = holder(name); &other != this) return other.packed(name, plain, wanted);
  const Key key{name, wanted.get_data_type()};
  const auto found = packed_.find(key);
  if (found != packed_.end() && found->second.get_desc() == wanted) return found->second;
  const auto pack = [&](const weights::TensorView& tensor, std::byte* out) {
    std::byte* in_order = plain == wanted ? out : staging_.reserve(plain.get_size());
    if (wanted.get_data_type() == dnnl::memory::data_type::bf16) {
      convert(tensor, reinterpret_cast<uint16_t*>(in_order), &weights::to_bf16);
    } else {
      convert(tensor, reinterpret_cast<float*>(in_order), &weights::to_f32);
    }
    if (plain == wanted) return;
    dnnl::memory from(plain, engine_, in_order), to(wanted, engine_, out);
    dnnl::stream stream(engine_);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  };
  const std::byte* data = own_form(name, "onednn " + text_of(wanted), wanted.get_size(), pack);
  dnnl::memory memory(wanted, engine_, const_cast<std::byte*>(data));
  packed_.insert_or_assign(key, memory);
  return memory;
}

const std::byte* CpuWeights::own_form(
    const std::string& name, std::string_view form, size_t bytes,
    const std::function<void(const weights::TensorView&, std::byte*)>& pack) {
  if (CpuWeights& other = holder(name); &other != this)
    return other.own_form(name, form, bytes, pack);
  const std::pair<std::string, std::string> key{name, form};
  if (const auto found = own_forms_.find(key); found != own_forms_.end())
    return found->second.data();
  if (cache_) {
    if (const std::byte* const cached = cache_->find(key.first, key.second, bytes)) {
      own_forms_[key] = {cached, bytes};
      return cached;
    }
    cache_lacks_ = true;
  }
  std::byte* const memory = own_memory_.take(bytes);
  const weights::TensorView tensor = tensor_now(name);
  pack(tensor, memory);
  tensor.release_pages();
  own_forms_[key] = {memory, bytes};
  return memory;
}

void CpuWeights::end_packing() {
  staging_ = Arena();
  if (base_) base_->end_packing();
}

}  // namespace safelight::engine::cpu
