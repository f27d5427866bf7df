// A library of vector functions as a contender.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "peers/peer.h"

namespace lockstep::bench {

using ArrayFunction = void(const float* x, float* y, std::size_t n);

class ElementwisePeer : public Contender {
 public:
  // `exp` may be null.
  ElementwisePeer(std::string name, std::string about, ArrayFunction* tanh, ArrayFunction* exp)
      : name_(std::move(name)), about_(std::move(about)), tanh_(tanh), exp_(exp) {}

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::string about() const override { return about_; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return threads == 1 && (kernel == Kernel::tanh || (kernel == Kernel::exp && exp_ != nullptr));
  }
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    ArrayFunction* apply = function == Kernel::tanh ? tanh_ : exp_;
    return [=] { apply(x, y, n); };
  }

 private:
  std::string name_;
  std::string about_;
  ArrayFunction* tanh_;
  ArrayFunction* exp_;
};

// Adds a peer of whose modules one is compiled for the vectors of this run; LOCKSTEP_PEER_LANES
// says for which this one is.
inline void add_vector_peer(Contenders& contenders, const PeerOptions& options,
                            const std::string& name, const std::string& about, ArrayFunction* tanh,
                            ArrayFunction* exp) {
  if (options.lanes != LOCKSTEP_PEER_LANES) return;
  contenders.push_back(std::make_unique<ElementwisePeer>(name, about, tanh, exp));
}

// `function(in, out)` works on one whole vector; the tail goes through a copy of that size.
template <std::size_t kLanes, class Function>
void map_vectors(const float* x, float* y, std::size_t n, const Function& function) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) function(x + i, y + i);
  if (i == n) return;
  float tail[kLanes] = {};
  std::copy(x + i, x + n, tail);
  function(tail, tail);
  std::copy(tail, tail + (n - i), y + i);
}

}  // namespace lockstep::bench
