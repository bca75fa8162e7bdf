#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace safelight::jobs {

/// The order in which waiting jobs start: fair between owners by what their jobs cost, by priority
/// and then age within one owner.
///
/// Deficit round robin with rounds as small as can be: each waiting owner is credited at the same
/// rate, and whoever is first to have saved up the cost of its first job is served. In such small
/// rounds an owner's "tag", the credit per owner at which it can pay, is known beforehand, so that
/// the next one is the least tag in a sorted set (self-clocked fair queueing, Golestani 1994).
/// Credit is lost when nothing waits. O(log n) a call but for order(). Not for several threads.
class FairQueue {
 public:
  using Clock = std::chrono::steady_clock;

  struct Entry {
    std::string id;  ///< grows with age
    std::string owner, model;
    int priority = 0;
    double cost = 0;  ///< megapixel-steps
  };

  void push(Entry entry);
  /// Puts back what take() gave, at its old place: its owner's credit too.
  void put_back(Entry entry);
  /// Takes a job out wherever it stands; false when it is not here.
  bool remove(const std::string& id);

  /// The next job, or nothing. A job of `model` (empty for none) goes before that of the owner
  /// whose turn it is, but for no longer than `patience` in a row.
  std::optional<Entry> take(const std::string& model, std::chrono::milliseconds patience,
                            Clock::time_point now);

  /// Ids in the order of take(""), at most `limit`. O(owners + limit log owners).
  std::vector<std::string> order(size_t limit) const;

  size_t size() const { return jobs_.size(); }
  double cost() const { return cost_; }

 private:
  /// What one owner has waiting: all of it, or what is for one model.
  struct Place {
    int negative_priority;
    std::string id;
    auto operator<=>(const Place&) const = default;
  };
  struct Lane {
    std::set<Place> places;
    double tag = 0;  ///< under which it stands in lanes_
  };
  struct Owner {
    double paid = 0;  ///< credit used up so far
    Lane all;
    std::map<std::string, Lane> by_model;
  };
  using Lanes = std::set<std::pair<double, std::string>>;  ///< tags with their owners

  void insert(Entry entry, double refund);
  Entry extract(const std::string& id);
  void unlist(const std::string& name, Owner& owner);
  void list(const std::string& name, Owner& owner);

  std::unordered_map<std::string, Entry> jobs_;
  std::unordered_map<std::string, Owner> owners_;  ///< with something waiting
  Lanes lanes_;
  std::map<std::string, Lanes> lanes_by_model_;
  double credit_ = 0;  ///< given to each owner that waited all the time
  double cost_ = 0;
  std::optional<Clock::time_point> passed_over_;  ///< since when the turn of owners is not kept
};

}  // namespace safelight::jobs
