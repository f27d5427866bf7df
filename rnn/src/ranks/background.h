// A thread that works while its owner does.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace lockstep {

// Calls work(number) for numbers that its owner hands over, one after another.
class Background {
 public:
  // `work` throws nothing; `most`: numbers that wait at a time. Throws std::system_error if there
  // is no thread to be had.
  Background(std::function<void(std::size_t)> work, std::size_t most) : work_(std::move(work)) {
    waiting_.reserve(most);
    thread_ = std::thread([this] { run(); });
  }
  ~Background() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Allocates nothing.
  void start(std::size_t number) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(number);
    }
    changed_.notify_all();
  }

  // Until all is done.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.empty(); });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const std::size_t number = waiting_.front();
      lock.unlock();
      work_(number);
      lock.lock();
      waiting_.erase(waiting_.begin());
      changed_.notify_all();
    }
  }

  std::function<void(std::size_t)> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> waiting_;  // the first of them is being worked on
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace lockstep
