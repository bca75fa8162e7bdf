#pragma once

#include <cstdint>
#include <memory>

#include "base/tensor.h"
#include "weights/adapter_delta.h"
#include "weights/changed_weight.h"

namespace safelight::weights {

/// Adds `factor` times the delta's rows from `offset` on.
std::shared_ptr<const WeightChange> added(std::shared_ptr<const Delta> delta, double factor,
                                          int64_t offset);

/// Adds `factor` times a vector to a weight of one dimension.
std::shared_ptr<const WeightChange> added_vector(Tensor values, double factor);

/// What a channel's elements are.
enum class Channels : uint8_t {
  kOut,  ///< a row of the weight
  kIn,   ///< in each row, `kernel` elements one after another
};

/// Multiplies each channel by its factor; `kernel` elements of a row are of one input.
std::shared_ptr<const WeightChange> multiplied(Tensor factors, Channels channels, int64_t kernel);

/// DoRA (Liu et al. 2024): the direction of weight + scale * delta, channel by channel, with the
/// length `magnitude`; of the difference that makes, `strength` is added. `before` is the weight
/// that this will be added to; for input channels all of it is read now.
std::shared_ptr<const WeightChange> decomposed(const ChangedWeight& before,
                                               std::shared_ptr<const Delta> delta, double scale,
                                               Tensor magnitude, Channels channels, int64_t kernel,
                                               double strength);

}  // namespace safelight::weights
