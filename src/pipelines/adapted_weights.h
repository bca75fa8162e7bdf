#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "weights/adapt.h"

namespace safelight::pipelines {

/// What tells the weights that these adapters make of a network from others; empty where they
/// change nothing.
inline std::string adapted_identity(const std::string& network,
                                    const std::vector<weights::AdapterUse>& uses) {
  std::string identity;
  for (const weights::AdapterUse& use : uses) {
    const double strength = network == "unet" ? use.unet : use.text;
    const auto& modules = use.adapter->modules();
    const bool acts =
        strength != 0 && std::any_of(modules.begin(), modules.end(),
                                     [&](const auto& module) { return module.network == network; });
    if (!acts) continue;
    identity += fmt::format("{} {} {};", use.adapter->identity(), strength,
                            fmt::join(use.block_weights, ","));
  }
  return identity;
}

/// A network's weights on an engine, as the file has them or as adapters make them, each set with
/// what was compiled for it (`Executables`, which has clear()). The file's set stays, and of the
/// others the last two; they share what the adapters did not change. One thread at a time.
template <class Executables>
class AdaptedWeights {
 public:
  struct Set {
    std::string identity;
    weights::ChangedWeights changed;
    std::shared_ptr<engine::LoadedWeights> weights;  ///< null until it is used
    Executables executables;
  };

  AdaptedWeights(engine::Engine& engine, weights::BoundWeights bound, weights::AdapterNames names)
      : engine_(engine), bound_(std::move(bound)), names_(std::move(names)) {}

  const weights::AdapterNames& names() const { return names_; }
  /// What tells the weights that act now; empty for the file's.
  const std::string& identity() const { return sets_.front().identity; }

  /// What acts now, loaded.
  Set& current() {
    Set& set = sets_.front();
    if (!set.weights) {
      set.weights = set.identity.empty() ? base() : engine_.load_changed(base(), set.changed);
    }
    return set;
  }
  /// The file's weights, loaded.
  const std::shared_ptr<engine::LoadedWeights>& base() {
    if (!base_) base_ = engine_.load(bound_);
    return base_;
  }

  /// The set for these adapters, made now or as it was. Errors: those of weights::adapt.
  Result<Set> take(const std::vector<weights::AdapterUse>& uses) {
    std::string identity = adapted_identity(names_.network(), uses);
    const auto found = std::find_if(sets_.begin(), sets_.end(),
                                    [&](const Set& set) { return set.identity == identity; });
    if (found != sets_.end()) return *found;
    Set set{.identity = std::move(identity), .changed = {}, .weights = nullptr, .executables = {}};
    auto changed = weights::adapt(bound_, names_, uses);
    if (!changed) return changed.error();
    set.changed = std::move(*changed);
    return set;
  }

  /// Makes a set that take() gave act.
  void use(Set set) {
    std::erase_if(sets_, [&](const Set& other) { return other.identity == set.identity; });
    sets_.push_front(std::move(set));
    const auto adapted = [](const Set& kept) { return !kept.identity.empty(); };
    while (std::count_if(sets_.begin(), sets_.end(), adapted) > kKept)
      sets_.erase(std::prev(std::find_if(sets_.rbegin(), sets_.rend(), adapted).base()));
  }

  /// Lets what does not act go; false where there was nothing.
  bool drop_idle() {
    const bool held = sets_.size() > 1;
    sets_.erase(std::next(sets_.begin()), sets_.end());
    return held;
  }
  /// Lets all packed weights go; they come back when they are needed. False where there were none.
  bool release() {
    const bool held = bytes() > 0;
    drop_idle();
    sets_.front().weights = nullptr;
    sets_.front().executables.clear();
    base_ = nullptr;
    return held;
  }
  /// Of all sets.
  uint64_t bytes() const {
    uint64_t total = base_ ? base_->bytes() : 0;
    for (const Set& set : sets_) {
      if (set.weights && set.weights != base_) total += set.weights->bytes();
    }
    return total;
  }

 private:
  static constexpr int64_t kKept = 2;

  engine::Engine& engine_;
  weights::BoundWeights bound_;
  weights::AdapterNames names_;
  std::shared_ptr<engine::LoadedWeights> base_;
  std::list<Set> sets_{Set{}};  ///< what acts first
};

}  // namespace safelight::pipelines
