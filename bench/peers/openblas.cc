#include <cblas.h>

#include <cstdlib>

#include "peers/openblas_core.h"
#include "peers/peer.h"

namespace lockstep::bench {
namespace {

class OpenBlas : public Contender {
 public:
  explicit OpenBlas(const std::string& own_core) : own_core_(own_core) {}
  [[nodiscard]] std::string name() const override { return "openblas"; }
  [[nodiscard]] std::string about() const override {
    return std::string(openblas_get_config()) + ", kernels " + openblas_get_corename() +
           (own_core_.empty() ? ""
                              : " (took " + own_core_ + " by itself, was set to " +
                                    setting("OPENBLAS_CORETYPE") + ")");
  }
  [[nodiscard]] std::size_t lanes() const override {
#if defined(__x86_64__)
    return openblas_lanes(openblas_get_corename());
#else
    return 0;
#endif
  }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return kernel == Kernel::gemm || kernel == Kernel::gemm_alpha ||
           (kernel == Kernel::gemm_tn && threads == 1);
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    openblas_set_num_threads(threads);
    const bool transposed = layout == Kernel::gemm_tn;
    return [o, transposed, factors = factors_of(layout)] {
      cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans,
                  static_cast<blasint>(o.m), static_cast<blasint>(o.n), static_cast<blasint>(o.k),
                  factors.alpha, o.a, static_cast<blasint>(o.lda), o.b, static_cast<blasint>(o.ldb),
                  factors.beta, o.c, static_cast<blasint>(o.ldc));
    };
  }

 private:
  static std::string setting(const char* variable) {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
  }

  std::string own_core_;
};

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  contenders.push_back(std::make_unique<lockstep::bench::OpenBlas>(options.openblas_own_core));
}
