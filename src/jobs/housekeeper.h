#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "jobs/service.h"

namespace safelight::jobs {

/// Keeps a server's jobs in order, on a thread of its own: takes back what dead workers held, ends
/// what is past its deadline, removes what retention says, and tells queued jobs their position.
class Housekeeper {
 public:
  explicit Housekeeper(Service& service);
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

 private:
  void run();

  Service& service_;
  EventHub::Subscription subscription_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool queue_changed_ = true, ending_ = false;
  std::thread thread_;
};

}  // namespace safelight::jobs
