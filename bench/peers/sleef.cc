#include "peers/elementwise_peer.h"
#include "peers/x86_vector.h"
// The functions of <sleef.h> take these vectors.
#include <sleef.h>

namespace lockstep::bench {
namespace {

#if defined(__AVX512F__)
#define LOCKSTEP_SLEEF(function, accuracy) Sleef_##function##f16_##accuracy##avx512f
#else
#define LOCKSTEP_SLEEF(function, accuracy) Sleef_##function##f8_##accuracy##avx2
#endif

void tanh_u10(const float* in, float* out) { store(out, LOCKSTEP_SLEEF(tanh, u10)(load(in))); }
void tanh_u35(const float* in, float* out) { store(out, LOCKSTEP_SLEEF(tanh, u35)(load(in))); }
void exp_u10(const float* in, float* out) { store(out, LOCKSTEP_SLEEF(exp, u10)(load(in))); }

// The function is a template argument, so that it is called directly.
template <void (*kFunction)(const float*, float*)>
void map(const float* x, float* y, std::size_t n) {
  map_vectors<kLanes>(x, y, n, kFunction);
}

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  using namespace lockstep::bench;
  const std::string version =
      std::to_string(SLEEF_VERSION_MAJOR) + "." + std::to_string(SLEEF_VERSION_MINOR);
  add_vector_peer(contenders, options, "sleef_u10", version, map<tanh_u10>, map<exp_u10>);
  add_vector_peer(contenders, options, "sleef_u35", version, map<tanh_u35>, nullptr);
}
