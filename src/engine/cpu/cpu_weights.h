#pragma once

#include <functional>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/cpu/arena.h"
#include "engine/cpu/packed_file.h"
#include "engine/engine.h"

namespace safelight::engine::cpu {

/// Weights for the CPU engine: read from the mapped file once per layer and kept in the layout that
/// the layer's first primitive asked for; executables of other shapes share it.
class CpuWeights : public LoadedWeights {
 public:
  /// Own forms are kept in `cache` where there is one, from the destructor on.
  CpuWeights(weights::BoundWeights weights, dnnl::engine engine,
             std::optional<PackedFile> cache = std::nullopt)
      : weights_(std::move(weights)), engine_(std::move(engine)), cache_(std::move(cache)) {}
  ~CpuWeights() override;
  CpuWeights(const CpuWeights&) = delete;
  CpuWeights& operator=(const CpuWeights&) = delete;

  uint64_t bytes() const override;

  const dnnl::engine& engine() const { return engine_; }

  const weights::TensorView& file_tensor(const std::string& name) const {
    return weights_.at(name);
  }

  /// A small weight (bias, norm) in float32; kept.
  const std::vector<float>& f32(const std::string& name);

  /// The layout in which the weight is kept for products in `type`, if it is.
  std::optional<dnnl::memory::desc> packed_layout(const std::string& name,
                                                  dnnl::memory::data_type type) const;

  /// The weight in layout `wanted`. `plain` describes the file's order (dims as in `wanted`, dense
  /// strides) in the data type of `wanted`. The first call packs it.
  dnnl::memory packed(const std::string& name, const dnnl::memory::desc& plain,
                      const dnnl::memory::desc& wanted);

  /// The weight in a form of our own: `bytes` of memory, aligned to 64, which `pack` fills from the
  /// file's tensor when the form is first asked for.
  const std::byte* own_form(
      const std::string& name, std::string_view form, size_t bytes,
      const std::function<void(const weights::TensorView&, std::byte*)>& pack);

  /// Frees what packing needs besides the packed weights.
  void end_packing() { staging_ = Arena(); }

 private:
  using Key = std::pair<std::string, dnnl::memory::data_type>;

  weights::BoundWeights weights_;
  dnnl::engine engine_;
  std::map<std::string, std::vector<float>> f32_;
  std::map<Key, dnnl::memory> packed_;
  std::map<std::pair<std::string, std::string>, Bytes> own_forms_;
  Pieces own_memory_;
  Arena staging_;
  std::optional<PackedFile> cache_;
  bool cache_lacks_ = false;  ///< a form that is here
};

}  // namespace safelight::engine::cpu
