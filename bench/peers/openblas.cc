#include <cblas.h>

#include "peers/peer.h"

namespace lockstep::bench {
namespace {

class OpenBlas : public Contender {
 public:
  explicit OpenBlas(std::size_t lanes) : lanes_(lanes) {}
  [[nodiscard]] std::string name() const override { return "openblas"; }
  [[nodiscard]] std::string about() const override {
    const std::string kernels = openblas_get_corename();
    const bool is_avx2 = kernels == "Haswell" || kernels == "Zen";
    return std::string(openblas_get_config()) + ", kernels " + kernels +
           (is_avx2 && lanes_ > 8 ? " (AVX2: try OPENBLAS_CORETYPE=SkylakeX)" : "");
  }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return kernel == Kernel::gemm || (kernel == Kernel::gemm_tn && threads == 1);
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    openblas_set_num_threads(threads);
    const bool transposed = layout == Kernel::gemm_tn;
    return [o, transposed] {
      cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans,
                  static_cast<blasint>(o.m), static_cast<blasint>(o.n), static_cast<blasint>(o.k),
                  1.0f, o.a, static_cast<blasint>(o.lda), o.b, static_cast<blasint>(o.ldb),
                  transposed ? 1.0f : 0.0f, o.c, static_cast<blasint>(o.ldc));
    };
  }

 private:
  std::size_t lanes_;
};

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  contenders.push_back(std::make_unique<lockstep::bench::OpenBlas>(options.lanes));
}
