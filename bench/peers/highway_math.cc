#include <hwy/highway.h>
// After highway.h, whose target it takes.
#include <hwy/contrib/math/math-inl.h>

#include "peers/elementwise_peer.h"

namespace lockstep::bench {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
constexpr std::size_t kLanes = hn::MaxLanes(D());

void tanh_array(const float* x, float* y, std::size_t n) {
  map_vectors<kLanes>(x, y, n, [](const float* in, float* out) {
    hn::StoreU(hn::Tanh(D(), hn::LoadU(D(), in)), D(), out);
  });
}

void exp_array(const float* x, float* y, std::size_t n) {
  map_vectors<kLanes>(x, y, n, [](const float* in, float* out) {
    hn::StoreU(hn::Exp(D(), hn::LoadU(D(), in)), D(), out);
  });
}

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  using namespace lockstep::bench;
  add_vector_peer(contenders, options, "highway_math", LOCKSTEP_HIGHWAY_VERSION, tanh_array,
                  exp_array);
}
