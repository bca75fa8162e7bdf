#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace safelight::weights {

/// How adapters spell the layers of one network: a family fills it in from its table of names.
class AdapterNames {
 public:
  /// `network` as AdapterModule::network has it.
  explicit AdapterNames(std::string network) : network_(std::move(network)) {}

  const std::string& network() const { return network_; }

  /// `spelling` (dots or underscores between its parts) means these layers of the reference, one or
  /// several whose rows stand one after another in the module ("in_proj" for q, k and v). The first
  /// meaning of a spelling stays.
  void add(std::string_view spelling, std::vector<std::string> layers) {
    std::string path(spelling);
    for (char& c : path) c = c == '.' ? '_' : c;
    layers_.emplace(std::move(path), std::move(layers));
  }

  /// The layers that AdapterModule::path means; null for none of this network's.
  const std::vector<std::string>* find(std::string_view path) const {
    const auto found = layers_.find(path);
    return found == layers_.end() ? nullptr : &found->second;
  }

 private:
  std::string network_;
  std::map<std::string, std::vector<std::string>, std::less<>> layers_;
};

}  // namespace safelight::weights
