#include <blis.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "peers/peer.h"

namespace lockstep::bench {
namespace {

// float32 per vector of the kernels that BLIS has chosen, by the name of their architecture.
std::size_t lanes_of_kernels() {
#if defined(__x86_64__)
  const std::string_view kernels = bli_arch_string(bli_arch_query_id());
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), kernels) != names.end();
  };
  if (is_one_of({"skx", "knl", "zen4", "zen5"})) return 16;
  if (is_one_of({"haswell", "zen", "zen2", "zen3"})) return 8;
  return 4;
#else
  return 0;
#endif
}

// Through BLIS's typed interface, which takes row-major matrices as they are.
class Blis : public Contender {
 public:
  [[nodiscard]] std::string name() const override { return "blis"; }
  [[nodiscard]] std::string about() const override {
    return std::string(bli_info_get_version_str()) + ", kernels " +
           bli_arch_string(bli_arch_query_id());
  }
  [[nodiscard]] std::size_t lanes() const override { return lanes_of_kernels(); }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return kernel == Kernel::gemm || kernel == Kernel::gemm_alpha ||
           (kernel == Kernel::gemm_tn && threads == 1);
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    bli_thread_set_num_threads(threads);
    const bool transposed = layout == Kernel::gemm_tn;
    return [o, transposed, factors = factors_of(layout)] {
      auto [alpha, beta] = factors;
      const auto size = [](std::size_t n) { return static_cast<dim_t>(n); };
      // The interface of older releases takes pointers to non-const.
      bli_sgemm(transposed ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, size(o.m),
                size(o.n), size(o.k), &alpha, const_cast<float*>(o.a), size(o.lda), 1,
                const_cast<float*>(o.b), size(o.ldb), 1, &beta, o.c, size(o.ldc), 1);
    };
  }
};

}  // namespace
}  // namespace lockstep::bench

// What BLIS_ARCH_TYPE must be set to for AVX2 differs between releases, and what is wrong aborts
// the program: where kernels for AVX-512 would run in spite of a restriction, BLIS is left out.
void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  bli_init();
  if (options.lanes < lockstep::bench::lanes_of_kernels()) return;
  contenders.push_back(std::make_unique<lockstep::bench::Blis>());
}
