#include "http/routes/event_broadcast.h"

#include <boost/asio/post.hpp>

#include "api/native/job_json.h"

namespace safelight::http {
namespace {

const std::string kAllJobs = "*";
/// With so many waiting, steps and previews are left out; changes of state never are.
constexpr size_t kManyPending = 1000;

bool may_be_left_out(const jobs::Event& event) {
  return event.kind == jobs::Event::Kind::kProgress || event.kind == jobs::Event::Kind::kPreview;
}

}  // namespace

bool EventBroadcast::Watcher::may_preview(const jobs::Event& event, const WatchWish& wish) {
  if (!wish.previews) return false;
  const auto now = Clock::now();
  const auto [last, first] = previewed_.try_emplace(event.job, now);
  if (!first && now - last->second < wish.preview_interval) return false;
  last->second = now;
  return true;
}

void EventBroadcast::Watcher::deliver(const jobs::Event& event,
                                      const std::shared_ptr<const std::string>& text, bool of_all) {
  if (socket_ == nullptr) return;
  const auto own = wishes_.find(event.job);
  // Who watches a job by its id and all jobs gets each event once, by the former.
  if (of_all == (own != wishes_.end())) return;
  const auto wish = of_all ? wishes_.find(kAllJobs) : own;
  if (wish == wishes_.end()) return;
  if (of_all && !principal_.may_see(event.owner)) return;
  if (event.kind == jobs::Event::Kind::kPreview && !may_preview(event, wish->second)) return;
  if (event.kind == jobs::Event::Kind::kState && jobs::is_final(event.state)) {
    previewed_.erase(event.job);
  }
  if (socket_->send(text) || may_be_left_out(event)) return;
  constexpr int kTryAgainLater = 1013;
  socket_->close(kTryAgainLater, "events come faster than they are read");
}

void EventBroadcast::listen(jobs::EventHub& hub) {
  subscription_ = hub.subscribe("", [weak = weak_from_this()](const jobs::EventPtr& event) {
    if (const auto self = weak.lock()) self->on_event(event);
  });
}

void EventBroadcast::subscribe(const WatcherPtr& watcher, const std::string& job, WatchWish wish) {
  watcher->wishes_[job] = std::move(wish);
  const std::lock_guard lock(mutex_);
  by_job_[job].insert(watcher);
}

void EventBroadcast::unsubscribe(const WatcherPtr& watcher, const std::string& job) {
  watcher->wishes_.erase(job);
  watcher->previewed_.erase(job);
  const std::lock_guard lock(mutex_);
  forget(watcher, job);
}

void EventBroadcast::leave(const WatcherPtr& watcher) {
  watcher->socket_ = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [job, wish] : watcher->wishes_) forget(watcher, job);
  }
  watcher->wishes_.clear();
}

void EventBroadcast::forget(const WatcherPtr& watcher, const std::string& job) {
  const auto found = by_job_.find(job);
  if (found == by_job_.end()) return;
  found->second.erase(watcher);
  if (found->second.empty()) by_job_.erase(found);
}

void EventBroadcast::on_event(const jobs::EventPtr& event) {
  const std::lock_guard lock(mutex_);
  auto watched = by_job_.find(event->job);
  if (watched == by_job_.end()) watched = by_job_.find(kAllJobs);
  if (watched == by_job_.end()) return;
  if (pending_.size() >= kManyPending && may_be_left_out(*event)) return;
  pending_.push_back(event);
  if (sending_) return;
  sending_ = true;
  boost::asio::post((*watched->second.begin())->executor_,
                    [self = shared_from_this()] { self->send_pending(); });
}

void EventBroadcast::send_pending() {
  for (;;) {
    jobs::EventPtr event;
    std::vector<std::pair<WatcherPtr, bool>> watchers;
    {
      const std::lock_guard lock(mutex_);
      if (pending_.empty()) {
        sending_ = false;
        return;
      }
      event = std::move(pending_.front());
      pending_.pop_front();
      for (const auto& [key, of_all] : {std::pair(event->job, false), std::pair(kAllJobs, true)}) {
        const auto found = by_job_.find(key);
        if (found == by_job_.end()) continue;
        for (const WatcherPtr& watcher : found->second) watchers.emplace_back(watcher, of_all);
      }
    }
    if (watchers.empty()) continue;
    const auto text = std::make_shared<const std::string>(api::native::event_text(*event));
    for (const auto& [watcher, of_all] : watchers) {
      boost::asio::post(watcher->executor_, [watcher = watcher, event, text, all = of_all] {
        watcher->deliver(*event, text, all);
      });
    }
  }
}

}  // namespace safelight::http
