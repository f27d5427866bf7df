#include <xsimd/xsimd.hpp>

#include "peers/elementwise_peer.h"

namespace lockstep::bench {
namespace {

using Batch = xsimd::batch<float>;

void tanh_array(const float* x, float* y, std::size_t n) {
  map_vectors<Batch::size>(x, y, n, [](const float* in, float* out) {
    xsimd::tanh(Batch::load_unaligned(in)).store_unaligned(out);
  });
}

void exp_array(const float* x, float* y, std::size_t n) {
  map_vectors<Batch::size>(x, y, n, [](const float* in, float* out) {
    xsimd::exp(Batch::load_unaligned(in)).store_unaligned(out);
  });
}

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  using namespace lockstep::bench;
  add_vector_peer(contenders, options, "xsimd_math", LOCKSTEP_XSIMD_VERSION, tanh_array, exp_array);
}
