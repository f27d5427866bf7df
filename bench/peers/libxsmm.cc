// LIBXSMM 2: a kernel generated for the very product, once and outside the timing. It is made for
// small products and does no blocking, so large ones are not its field.
#include <libxsmm.h>

#include <stdexcept>

#include "peers/peer.h"

namespace lockstep::bench {
namespace {

class Libxsmm : public Contender {
 public:
  [[nodiscard]] std::string name() const override { return "libxsmm"; }
  [[nodiscard]] std::string about() const override {
    return std::string(LIBXSMM_VERSION) + ", target " + libxsmm_get_target_arch();
  }
  [[nodiscard]] std::size_t lanes() const override {
#if defined(__x86_64__)
    const int target = libxsmm_get_target_archid();
    return target >= LIBXSMM_X86_AVX512_SKX ? 16 : target >= LIBXSMM_X86_AVX2 ? 8 : 4;
#else
    return 0;
#endif
  }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return (kernel == Kernel::gemm || kernel == Kernel::gemm_loop) && threads == 1;
  }

  Task gemm(Kernel /*layout*/, const GemmOperands& o, int /*threads*/) override {
    return [kernel = kernel_of(o), operands = operands_at(o.a, o.b, o.c)] { kernel(&operands); };
  }

  Task gemm_batch(Kernel /*how*/, const BatchOperands& o, int /*threads*/) override {
    return [kernel = kernel_of(o.first), o] {
      const GemmOperands& p = o.first;
      for (std::size_t i = 0; i < o.count; ++i) {
        const libxsmm_gemm_param operands =
            operands_at(p.a + i * o.stride_a, p.b + i * o.stride_b, p.c + i * o.stride_c);
        kernel(&operands);
      }
    };
  }

 private:
  // Its matrices are column-major, so C^T = B^T A^T.
  static libxsmm_gemm_param operands_at(const float* a, const float* b, float* c) {
    libxsmm_gemm_param operands{};
    operands.a.primary = const_cast<float*>(b);
    operands.b.primary = const_cast<float*>(a);
    operands.c.primary = c;
    return operands;
  }

  static libxsmm_gemmfunction kernel_of(const GemmOperands& o) {
    const auto size = [](std::size_t n) { return static_cast<libxsmm_blasint>(n); };
    const libxsmm_gemm_shape shape = libxsmm_create_gemm_shape(
        size(o.n), size(o.m), size(o.k), size(o.ldb), size(o.lda), size(o.ldc),
        LIBXSMM_DATATYPE_F32, LIBXSMM_DATATYPE_F32, LIBXSMM_DATATYPE_F32, LIBXSMM_DATATYPE_F32);
    const libxsmm_gemmfunction kernel =
        libxsmm_dispatch_gemm(shape, LIBXSMM_GEMM_FLAG_BETA_0, LIBXSMM_GEMM_PREFETCH_NONE);
    if (kernel == nullptr) throw std::runtime_error("LIBXSMM generates no kernel of this shape");
    return kernel;
  }
};

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  libxsmm_init();
  if (options.lanes < 16) libxsmm_set_target_arch("hsw");
  contenders.push_back(std::make_unique<lockstep::bench::Libxsmm>());
}
