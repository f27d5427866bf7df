// Ranks that are threads of one process.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "lockstep/rnn/ranks.h"

namespace lockstep {

// What is on its way between ranks.
class Mail {
 public:
  using Letter = std::vector<std::byte>;

  void send(int from, int to, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    letters_[{from, to}].emplace_back(bytes.begin(), bytes.end());
    changed_.notify_all();
  }
  Letter receive(int from, int to) {
    std::unique_lock lock(mutex_);
    std::deque<Letter>& queue = letters_[{from, to}];
    const auto has_come = [&] { return !queue.empty() || has_ended_; };
    if (!changed_.wait_for(lock, std::chrono::seconds(60), has_come) || queue.empty()) {
      throw RanksError("rank " + std::to_string(from) + " does not answer");
    }
    Letter letter = std::move(queue.front());
    queue.pop_front();
    return letter;
  }
  // A rank has failed: nobody waits for what will not come.
  void end() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool is_empty() {
    const std::lock_guard lock(mutex_);
    return std::ranges::all_of(letters_, [](const auto& each) { return each.second.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, int>, std::deque<Letter>> letters_;
  bool has_ended_ = false;
};

class ThreadRank : public Ranks {
 public:
  ThreadRank(int rank, int size, Mail& mail, bool serves_any_thread = true)
      : Ranks(rank, size, serves_any_thread), mail_(mail) {}

 protected:
  [[nodiscard]] Mail& mail() { return mail_; }

 private:
  virtual void before_move() {}
  void move(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) override {
    before_move();
    for (const Outgoing& message : outgoing) mail_.send(rank(), message.to, message.bytes);
    for (const Incoming& message : incoming) {
      const Mail::Letter letter = mail_.receive(message.from, rank());
      if (letter.size() != message.bytes.size()) {
        mail_.end();
        throw RanksError("a message of another size");
      }
      std::ranges::copy(letter, message.bytes.begin());
    }
  }

  Mail& mail_;
};

// Calls work(rank, mail) on each of `size` threads; returns what each has thrown.
inline std::vector<std::exception_ptr> on_ranks(int size,
                                                const std::function<void(int, Mail&)>& work) {
  Mail mail;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        work(rank, mail);
      } catch (...) {
        failures[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const bool all_well = std::ranges::none_of(failures, [](const auto& f) { return f != nullptr; });
  if (all_well && !mail.is_empty()) {
    failures[0] = std::make_exception_ptr(RanksError("a message that nobody wanted"));
  }
  return failures;
}

// The same with work(ranks).
inline std::vector<std::exception_ptr> on_ranks(int size, const std::function<void(Ranks&)>& work) {
  return on_ranks(size, [&](int rank, Mail& mail) {
    ThreadRank ranks(rank, size, mail);
    work(ranks);
  });
}

// Throws what the first of them has thrown.
inline void require_well(const std::vector<std::exception_ptr>& failures) {
  for (const std::exception_ptr& failure : failures) {
    if (failure != nullptr) std::rethrow_exception(failure);
  }
}

}  // namespace lockstep
