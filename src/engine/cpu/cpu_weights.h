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
  /// Weights like `base` but for those that are `changed`, which are never kept on disk.
  CpuWeights(std::shared_ptr<CpuWeights> base, weights::ChangedWeights changed)
      : engine_(base->engine_), base_(std::move(base)), changed_(std::move(changed)) {}
  ~CpuWeights() override;
  CpuWeights(const CpuWeights&) = delete;
  CpuWeights& operator=(const CpuWeights&) = delete;

  uint64_t bytes() const override;

  const dnnl::engine& engine() const { return engine_; }

  /// The type of the weight's elements in the file, and as tensor() gives them: those of changed
  /// weights are float32.
  graph::DType file_dtype(const std::string& name) const { return file_tensor(name).dtype; }
  graph::DType dtype(const std::string& name) const {
    return changed_.contains(name) ? graph::DType::kF32 : file_dtype(name);
  }

  /// The weight in the file's own order; valid as long as this object. Changed ones are computed
  /// once and kept.
  const weights::TensorView& tensor(const std::string& name);
  /// The same for use at once: changed ones are computed each time.
  weights::TensorView tensor_now(const std::string& name) const;

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
  void end_packing();

 private:
  using Key = std::pair<std::string, dnnl::memory::data_type>;

  /// The one that holds what is asked for: `base_` for what did not change.
  CpuWeights& holder(const std::string& name) {
    return base_ && !changed_.contains(name) ? base_->holder(name) : *this;
  }
  const weights::TensorView& file_tensor(const std::string& name) const {
    return base_ ? base_->file_tensor(name) : weights_.at(name);
  }

  weights::BoundWeights weights_;
  dnnl::engine engine_;
  std::shared_ptr<CpuWeights> base_;
  weights::ChangedWeights changed_;
  std::map<std::string, weights::TensorView> computed_;  ///< changed ones, for tensor()
  std::map<std::string, std::vector<float>> f32_;
  std::map<Key, dnnl::memory> packed_;
  std::map<std::pair<std::string, std::string>, Bytes> own_forms_;
  Pieces own_memory_;
  Arena staging_;
  std::optional<PackedFile> cache_;
  bool cache_lacks_ = false;  ///< a form that is here
};

}  // namespace safelight::engine::cpu
