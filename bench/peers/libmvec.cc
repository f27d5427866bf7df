#include <gnu/libc-version.h>

#include "peers/elementwise_peer.h"
#include "peers/x86_vector.h"

// glibc's vector functions, under the names of the x86 vector function ABI.
extern "C" {
#if defined(__AVX512F__)
__m512 _ZGVeN16v_tanhf(__m512);
__m512 _ZGVeN16v_expf(__m512);
#define LOCKSTEP_MVEC(function) _ZGVeN16v_##function
#else
__m256 _ZGVdN8v_tanhf(__m256);
__m256 _ZGVdN8v_expf(__m256);
#define LOCKSTEP_MVEC(function) _ZGVdN8v_##function
#endif
}

namespace lockstep::bench {
namespace {

template <Vector (*kFunction)(Vector)>
void map(const float* x, float* y, std::size_t n) {
  map_vectors<kLanes>(x, y, n,
                      [](const float* in, float* out) { store(out, kFunction(load(in))); });
}

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  using namespace lockstep::bench;
  add_vector_peer(contenders, options, "libmvec", std::string("glibc ") + gnu_get_libc_version(),
                  map<LOCKSTEP_MVEC(tanhf)>, map<LOCKSTEP_MVEC(expf)>);
}
