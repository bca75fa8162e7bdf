#include "jobs/fair_queue.h"

#include <algorithm>
#include <queue>

namespace safelight::jobs {
namespace {

/// So that jobs without a cost take turns as well.
constexpr double kLeastCost = 1e-3;

double charge(double cost) { return cost > kLeastCost ? cost : kLeastCost; }

}  // namespace

void FairQueue::push(Entry entry) { insert(std::move(entry), 0); }

void FairQueue::put_back(Entry entry) {
  const double refund = charge(entry.cost);
  insert(std::move(entry), refund);
}

void FairQueue::insert(Entry entry, double refund) {
  if (jobs_.contains(entry.id)) return;
  const std::string name = entry.owner;
  auto [found, made] = owners_.try_emplace(name);
  Owner& owner = found->second;
  if (made) {
    owner.paid = credit_;
  } else {
    unlist(name, owner);
  }
  owner.paid -= refund;
  const Place place{.negative_priority = -entry.priority, .id = entry.id};
  owner.all.places.insert(place);
  owner.by_model[entry.model].places.insert(place);
  cost_ += entry.cost;
  jobs_.emplace(place.id, std::move(entry));
  list(name, owner);
}

FairQueue::Entry FairQueue::extract(const std::string& id) {
  auto node = jobs_.extract(id);
  Entry entry = std::move(node.mapped());
  Owner& owner = owners_.at(entry.owner);
  unlist(entry.owner, owner);
  const Place place{.negative_priority = -entry.priority, .id = entry.id};
  owner.all.places.erase(place);
  const auto lane = owner.by_model.find(entry.model);
  lane->second.places.erase(place);
  if (lane->second.places.empty()) owner.by_model.erase(lane);
  cost_ = jobs_.empty() ? 0 : cost_ - entry.cost;
  return entry;
}

bool FairQueue::remove(const std::string& id) {
  if (!jobs_.contains(id)) return false;
  const Entry entry = extract(id);
  const auto owner = owners_.find(entry.owner);
  if (owner->second.all.places.empty()) {
    owners_.erase(owner);
  } else {
    list(entry.owner, owner->second);
  }
  return true;
}

void FairQueue::unlist(const std::string& name, Owner& owner) {
  lanes_.erase({owner.all.tag, name});
  for (auto& [model, lane] : owner.by_model) {
    const auto lanes = lanes_by_model_.find(model);
    if (lanes == lanes_by_model_.end()) continue;
    lanes->second.erase({lane.tag, name});
    if (lanes->second.empty()) lanes_by_model_.erase(lanes);
  }
}

void FairQueue::list(const std::string& name, Owner& owner) {
  const auto tag_of = [&](const Lane& lane) {
    return owner.paid + charge(jobs_.at(lane.places.begin()->id).cost);
  };
  owner.all.tag = tag_of(owner.all);
  lanes_.emplace(owner.all.tag, name);
  for (auto& [model, lane] : owner.by_model) {
    lane.tag = tag_of(lane);
    lanes_by_model_[model].emplace(lane.tag, name);
  }
}

std::optional<FairQueue::Entry> FairQueue::take(const std::string& model,
                                                std::chrono::milliseconds patience,
                                                Clock::time_point now) {
  if (jobs_.empty()) return std::nullopt;
  const Owner& due = owners_.at(lanes_.begin()->second);
  std::string id = due.all.places.begin()->id;
  bool in_turn = true;
  const auto loaded = lanes_by_model_.find(model);
  if (!model.empty() && loaded != lanes_by_model_.end() && jobs_.at(id).model != model) {
    if (!passed_over_) passed_over_ = now;
    in_turn = now - *passed_over_ >= patience;
    if (!in_turn) {
      const Owner& preferred = owners_.at(loaded->second.begin()->second);
      id = preferred.by_model.at(model).places.begin()->id;
    }
  }
  Entry entry = extract(id);
  Owner& owner = owners_.at(entry.owner);
  owner.paid += charge(entry.cost);
  // Only turns move the clock: whoever was let in front has credit to pay back, not the others.
  if (in_turn) {
    credit_ = std::max(credit_, owner.paid);
    passed_over_.reset();
  }
  if (owner.all.places.empty()) {
    owners_.erase(entry.owner);
  } else {
    list(entry.owner, owner);
  }
  return entry;
}

std::vector<std::string> FairQueue::order(size_t limit) const {
  struct Turn {
    double tag;
    const std::string* name;
    double paid;
    std::set<Place>::const_iterator next, end;
  };
  const auto later = [](const Turn& a, const Turn& b) {
    return std::pair(a.tag, *a.name) > std::pair(b.tag, *b.name);
  };
  std::priority_queue<Turn, std::vector<Turn>, decltype(later)> turns(later);
  for (const auto& [name, owner] : owners_) {
    turns.push({.tag = owner.all.tag,
                .name = &name,
                .paid = owner.paid,
                .next = owner.all.places.begin(),
                .end = owner.all.places.end()});
  }
  std::vector<std::string> ids;
  while (!turns.empty() && ids.size() < limit) {
    Turn turn = turns.top();
    turns.pop();
    ids.push_back(turn.next->id);
    turn.paid += charge(jobs_.at(turn.next->id).cost);
    if (++turn.next == turn.end) continue;
    turn.tag = turn.paid + charge(jobs_.at(turn.next->id).cost);
    turns.push(turn);
  }
  return ids;
}

}  // namespace safelight::jobs
