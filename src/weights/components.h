#pragma once

#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// A network of a model that people keep in a file of its own.
enum class SeparateNetwork { kUnet, kTextEncoder, kVae };

/// Puts a network from another file in the place of the model's own. `part` holds it alone, in
/// anybody's names, or among others (a whole checkpoint). Its tensors become `unet.NAME`,
/// `text_encoder.NAME`, `text_encoder_2.NAME` or `vae.NAME`, where NAME is what the file calls them
/// without a prefix; those that the model had for it go. A text encoder takes the place of one of
/// its width; OpenCLIP-bigG is the second one where there is another. The part's identity and
/// config are the network's own. Errors: kUnsupported where the file has no such network.
Status use_network(TensorIndex& model, TensorIndex part, SeparateNetwork network);

}  // namespace safelight::weights
