// A model as Python holds it.
#pragma once

#include <atomic>
#include <thread>

#include "lockstep/rnn/model.h"

namespace lockstep::python {

// A model is read by any number of threads or changed by one. As the interpreter's lock is given
// away meanwhile, what does not go together is refused with RuntimeError, never waited for: who
// waited would hold the lock that the other needs.
class ModelHandle {
 public:
  explicit ModelHandle(Model&& made) : model(std::move(made)) {}
  ModelHandle(const ModelHandle&) = delete;
  ModelHandle& operator=(const ModelHandle&) = delete;

  // To read the model; the thread that changes it may, in a callback.
  class Reading {
   public:
    explicit Reading(const ModelHandle& handle);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    const Model* operator->() const { return &handle_.model; }
    const Model& operator*() const { return handle_.model; }

   private:
    const ModelHandle& handle_;
    bool is_counted_ = false;
  };

  // To change it.
  class Writing {
   public:
    explicit Writing(ModelHandle& handle);
    ~Writing();
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    Model* operator->() const { return &handle_.model; }
    Model& operator*() const { return handle_.model; }

   private:
    ModelHandle& handle_;
  };

 private:
  static constexpr int kWritten = -1;

  Model model;
  mutable std::atomic<int> readers_{0};
  std::atomic<std::thread::id> writer_{};
};

}  // namespace lockstep::python
