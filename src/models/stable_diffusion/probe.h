#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "models/stable_diffusion/names.h"
#include "models/stable_diffusion/stable_diffusion.h"

namespace safelight::models::stable_diffusion {

/// Reads sizes from the shapes of one network's tensors.
class Probe {
 public:
  using Shape = std::vector<int64_t>;

  /// Levels, blocks or layers: far above any real model, so that counting ends.
  static constexpr int64_t kMaxParts = 64;
  static constexpr int64_t kMaxWidth = 16384;  ///< channels

  Probe(const weights::TensorIndex& index, const NetworkNames& names)
      : index_(index), names_(names) {}

  /// The shape of the file's tensor that has what the reference calls `name`, or null.
  const Shape* shape(const std::string& name) const;
  bool has(const std::string& name) const { return shape(name) != nullptr; }

  /// Dimension `axis` of a tensor. Errors: kCorruptFile when it is missing, of lower rank, or out
  /// of [1, limit].
  Result<int64_t> size(const std::string& name, size_t axis, int64_t limit = kMaxWidth) const;

  /// The least n below kMaxParts for which there is no tensor named by `name(n)`.
  template <class Name>
  int64_t count(Name name) const {
    int64_t n = 0;
    while (n < kMaxParts && has(name(n))) ++n;
    return n;
  }

  const weights::TensorIndex& index() const { return index_; }
  const NetworkNames& names() const { return names_; }

 private:
  const weights::TensorIndex& index_;
  const NetworkNames& names_;
};

/// An Error for what this family does not have.
Error unsupported(const std::string& what);

/// The sizes of each network. Errors: those of probe().
Result<clip::TextConfig> probe_text(const Probe& probe);
Result<unet::Config> probe_unet(const Probe& probe);
Result<autoencoder_kl::Config> probe_autoencoder(const Probe& probe);

/// Whether some block of a UNet has cross-attention.
bool has_cross_attention(const Probe& unet);

/// What people call a checkpoint of these sizes.
std::string variant_name(const Config& config);

}  // namespace safelight::models::stable_diffusion
