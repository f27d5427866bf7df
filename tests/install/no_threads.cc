// A system that starts no thread: calls are served by the threads that there are, and the program
// lives.
#include <lockstep/threads.h>
#include <pthread.h>

#include <cerrno>
#include <iostream>

#include "product.h"

namespace {
int refused = 0;
}

extern "C" int pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) noexcept {
  ++refused;
  return EAGAIN;
}

int main() {
  const bool same = product(4) == product(1);
  std::cout << lockstep::threading() << ": " << refused << " threads refused\n";
  return same && refused > 0 ? 0 : 1;
}
