#include "gemm/thread_memory.h"

#include <pthread.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <memory>
#include <new>

#include "lockstep/aligned_vector.h"

namespace lockstep {
namespace {

struct Copies {
  AlignedVector<float> a;
  AlignedVector<float> b;
};

constinit thread_local Copies* t_copies = nullptr;

// Whatever runs later at the end of the thread may compute products again.
void free_copies(void* copies) {
  t_copies = nullptr;
  delete static_cast<Copies*>(copies);
}

// Frees the copies of a thread at its end. A thread_local object with a destructor would do so too,
// but registering it ends the process where there is no memory.
class Key {
 public:
  Key() {
    if (::pthread_key_create(&key_, free_copies) != 0) throw std::bad_alloc();
  }
  // Threads that outlive the library must not call it.
  ~Key() {
    is_deleted_ = true;
    ::pthread_key_delete(key_);
  }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  // Fails without memory; while the program ends, when the key may be gone, nothing need be freed.
  void set(Copies* copies) const {
    if (is_deleted_) return;
    if (::pthread_setspecific(key_, copies) == ENOMEM) throw std::bad_alloc();
  }

 private:
  pthread_key_t key_{};
  std::atomic<bool> is_deleted_ = false;
};

Copies& copies_of_thread() {
  if (t_copies == nullptr) {
    static const Key key;
    auto copies = std::make_unique<Copies>();
    key.set(copies.get());
    t_copies = copies.release();
  }
  return *t_copies;
}

}  // namespace

float* thread_memory(CopyOf operand, std::size_t size) {
  Copies& copies = copies_of_thread();
  AlignedVector<float>& memory = operand == CopyOf::a ? copies.a : copies.b;
  if (memory.size() < size) memory.resize(std::bit_ceil(size));
  return memory.data();
}

}  // namespace lockstep
