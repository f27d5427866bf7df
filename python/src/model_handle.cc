#include <stdexcept>

#include "model.h"

namespace lockstep::python {

ModelHandle::Reading::Reading(const ModelHandle& handle) : handle_(handle) {
  for (int readers = handle.readers_.load(); readers != kWritten;) {
    is_counted_ = handle.readers_.compare_exchange_weak(readers, readers + 1);
    if (is_counted_) return;
  }
  if (handle.writer_.load() == std::this_thread::get_id()) return;
  throw std::runtime_error("the model is being trained or changed by another thread");
}

ModelHandle::Reading::~Reading() {
  if (is_counted_) handle_.readers_.fetch_sub(1);
}

ModelHandle::Writing::Writing(ModelHandle& handle) : handle_(handle) {
  int nobody = 0;
  if (!handle.readers_.compare_exchange_strong(nobody, kWritten)) {
    throw std::runtime_error(nobody == kWritten
                                 ? "the model is being trained; it cannot be changed meanwhile"
                                 : "the model is being used by another thread");
  }
  handle.writer_.store(std::this_thread::get_id());
}

ModelHandle::Writing::~Writing() {
  handle_.writer_.store({});
  handle_.readers_.store(0);
}

}  // namespace lockstep::python
