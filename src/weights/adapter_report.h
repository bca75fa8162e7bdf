#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/tensor_index.h"

namespace safelight::weights {

/// What an adapter's file has beyond what inspect() tells, from names, shapes and metadata alone.
struct AdapterReport {
  std::map<std::string, int64_t> kinds;     ///< "LoRA", "DoRA", ... to modules
  std::map<std::string, int64_t> networks;  ///< "unet", "text", "text2", ... to modules
  std::vector<int64_t> ranks;               ///< each that occurs, rising
  std::vector<std::string> embeddings;      ///< textual inversions within
  std::vector<std::string> unknown;         ///< tensors that do nothing
  /// The words that it was trained on: those that its maker names, else the most frequent tags.
  std::vector<std::string> trigger_words;
};

AdapterReport report_adapter(const TensorIndex& index);

/// As lines behind those of the file's report; each ends with a newline.
std::string to_text(const AdapterReport& report);
boost::json::object to_json(const AdapterReport& report);

}  // namespace safelight::weights
