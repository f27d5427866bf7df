// MKL: its products, its kernels generated for one product, and its vector functions.
//
// Its best honest setting: threads of the OpenMP that the program and the other peers use, as a
// second one would spin beside it; kernels and packed operands are made beforehand. MKL chooses by
// the vendor of the processor as well as by its features: where it is none of Intel's it is asked
// for AVX-512 or AVX2, and what it then runs is read off the library that it has loaded.
#include <dlfcn.h>
#include <link.h>
#include <mkl.h>

#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <tuple>

#include "lockstep/aligned_vector.h"
#include "peers/peer.h"

namespace lockstep::bench {
namespace {

MKL_INT size(std::size_t n) { return static_cast<MKL_INT>(n); }

bool is_set(const char* variable) { return std::getenv(variable) != nullptr; }

// "avx512" of libmkl_avx512.so.3, which MKL loads with the first product, and of
// libmkl_vml_avx512.so.3 with the first vector function; empty if none is loaded.
std::string loaded_kernels(const std::string& prefix) {
  struct Search {
    std::string prefix, found;
  } search{"/libmkl_" + prefix, {}};
  const auto look = [](dl_phdr_info* info, std::size_t, void* data) {
    auto& s = *static_cast<Search*>(data);
    const std::string_view path = info->dlpi_name;
    for (const char* kernels : {"avx512", "avx10", "avx2", "mc3", "def"}) {
      if (path.find(s.prefix + kernels + ".so") != path.npos) s.found = kernels;
    }
    return 0;
  };
  dl_iterate_phdr(look, &search);
  return search.found;
}

// float32 per vector of a library's kernels; 0: not known.
std::size_t lanes_of(const std::string& kernels) {
  if (kernels.empty()) return 0;
  return kernels == "avx512" || kernels == "avx10" ? 16 : kernels == "avx2" ? 8 : 4;
}

// What is the same for all that MKL offers.
struct Setting {
  std::string about;      // version and what was set
  std::string products;   // the library of kernels, as loaded_kernels says
  std::string functions;  // of its functions
  std::size_t product_lanes = 0;
  std::size_t function_lanes = 0;
  bool has_threads = false;
};

// On operands made beforehand. B is packed where it is asked for.
class Mkl : public Contender {
 public:
  explicit Mkl(const Setting& setting) : setting_(setting) {}

  [[nodiscard]] std::string name() const override { return "mkl"; }
  [[nodiscard]] std::string about() const override {
    return setting_.about + ", kernels " + setting_.products;
  }
  [[nodiscard]] std::size_t lanes() const override { return setting_.product_lanes; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    if (threads > 1 && !setting_.has_threads) return false;
    return kernel == Kernel::gemm || kernel == Kernel::gemm_alpha || kernel == Kernel::gemm_batch ||
           kernel == Kernel::gemm_batch_nt ||
           (threads == 1 && (kernel == Kernel::gemm_tn || kernel == Kernel::gemm_packed));
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    mkl_set_num_threads(threads);
    if (layout == Kernel::gemm_packed) return packed(o);
    const bool transposed = layout == Kernel::gemm_tn;
    return [o, transposed, factors = factors_of(layout)] {
      cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, size(o.m),
                  size(o.n), size(o.k), factors.alpha, o.a, size(o.lda), o.b, size(o.ldb),
                  factors.beta, o.c, size(o.ldc));
    };
  }

  Task gemm_batch(Kernel how, const BatchOperands& o, int threads) override {
    mkl_set_num_threads(threads);
    const CBLAS_TRANSPOSE of_b = how == Kernel::gemm_batch_nt ? CblasTrans : CblasNoTrans;
    return [o, of_b] {
      const GemmOperands& p = o.first;
      cblas_sgemm_batch_strided(CblasRowMajor, CblasNoTrans, of_b, size(p.m), size(p.n), size(p.k),
                                1.0f, p.a, size(p.lda), size(o.stride_a), p.b, size(p.ldb),
                                size(o.stride_b), 0.0f, p.c, size(p.ldc), size(o.stride_c),
                                size(o.count));
    };
  }

 private:
  static Task packed(const GemmOperands& o) {
    const std::size_t bytes =
        cblas_sgemm_pack_get_size(CblasBMatrix, size(o.m), size(o.n), size(o.k));
    // Megabytes at the least, of which a small matrix touches few.
    constexpr std::size_t kAlignment = 64;
    const std::shared_ptr<float> b(
        static_cast<float*>(lockstep::detail::allocate_aligned(bytes, kAlignment)),
        [](float* p) { lockstep::detail::free_aligned(p); });
    cblas_sgemm_pack(CblasRowMajor, CblasBMatrix, CblasNoTrans, size(o.m), size(o.n), size(o.k),
                     1.0f, o.b, size(o.ldb), b.get());
    return [o, b] {
      cblas_sgemm_compute(CblasRowMajor, CblasNoTrans, CblasPacked, size(o.m), size(o.n), size(o.k),
                          o.a, size(o.lda), b.get(), size(o.ldb), 0.0f, o.c, size(o.ldc));
    };
  }

  Setting setting_;
};

// A kernel generated for the very product, once and outside the timing; large ones have none.
class MklJit : public Contender {
 public:
  explicit MklJit(const Setting& setting) : setting_(setting) {}

  [[nodiscard]] std::string name() const override { return "mkl_jit"; }
  [[nodiscard]] std::string about() const override { return "mkl_jit_create_sgemm"; }
  [[nodiscard]] std::size_t lanes() const override { return setting_.product_lanes; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return threads == 1 &&
           (kernel == Kernel::gemm || kernel == Kernel::gemm_tn || kernel == Kernel::gemm_alpha ||
            kernel == Kernel::gemm_loop || kernel == Kernel::gemm_batch_nt);
  }

  Task gemm(Kernel layout, const GemmOperands& o, int /*threads*/) override {
    const std::shared_ptr<void> jitter = jitter_of(layout, o);
    const sgemm_jit_kernel_t kernel = mkl_jit_get_sgemm_ptr(jitter.get());
    auto* a = const_cast<float*>(o.a);
    auto* b = const_cast<float*>(o.b);
    return [jitter, kernel, a, b, c = o.c] { kernel(jitter.get(), a, b, c); };
  }

  Task gemm_batch(Kernel how, const BatchOperands& o, int /*threads*/) override {
    const std::shared_ptr<void> jitter = jitter_of(how, o.first);
    const sgemm_jit_kernel_t kernel = mkl_jit_get_sgemm_ptr(jitter.get());
    return [jitter, kernel, o] {
      auto* a = const_cast<float*>(o.first.a);
      auto* b = const_cast<float*>(o.first.b);
      float* c = o.first.c;
      for (std::size_t i = 0; i < o.count; ++i) {
        kernel(jitter.get(), a, b, c);
        a += o.stride_a;
        b += o.stride_b;
        c += o.stride_c;
      }
    };
  }

 private:
  // The last one is kept: cold cases make thousands of tasks of one shape.
  std::shared_ptr<void> jitter_of(Kernel layout, const GemmOperands& o) {
    const Key key{layout, o.m, o.n, o.k, o.lda, o.ldb, o.ldc};
    if (jitter_ != nullptr && key == key_) return jitter_;
    const bool transposed = layout == Kernel::gemm_tn;
    const auto [alpha, beta] = factors_of(layout);
    void* made = nullptr;
    const mkl_jit_status_t status = mkl_jit_create_sgemm(
        &made, MKL_ROW_MAJOR, transposed ? MKL_TRANS : MKL_NOTRANS,
        layout == Kernel::gemm_batch_nt ? MKL_TRANS : MKL_NOTRANS, size(o.m), size(o.n), size(o.k),
        alpha, size(o.lda), size(o.ldb), beta, size(o.ldc));
    jitter_ = {made, [](void* jitter) {
                 if (jitter != nullptr) mkl_jit_destroy(jitter);
               }};
    key_ = key;
    if (status == MKL_JIT_SUCCESS) return jitter_;
    jitter_ = nullptr;
    throw std::runtime_error("MKL generates no kernel of this shape");
  }

  using Key = std::tuple<Kernel, std::size_t, std::size_t, std::size_t, std::size_t, std::size_t,
                         std::size_t>;
  Setting setting_;
  Key key_;
  std::shared_ptr<void> jitter_;
};

// Its vector functions of one accuracy: VML_HA errs by less than 1 ulp, VML_LA by less than 4.
class MklFunctions : public Contender {
 public:
  MklFunctions(const Setting& setting, std::string name, std::string about, MKL_INT64 mode)
      : setting_(setting), name_(std::move(name)), about_(std::move(about)), mode_(mode) {}

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::string about() const override {
    return about_ + ", kernels vml_" + setting_.functions;
  }
  [[nodiscard]] std::size_t lanes() const override { return setting_.function_lanes; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    return threads == 1 && (kernel == Kernel::tanh || kernel == Kernel::exp);
  }
  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    mkl_set_num_threads(1);
    const auto apply = function == Kernel::tanh ? &vmsTanh : &vmsExp;
    const MKL_INT64 mode = mode_ | VML_ERRMODE_IGNORE;
    return [=] { apply(size(n), x, y, mode); };
  }

 private:
  Setting setting_;
  std::string name_;
  std::string about_;
  MKL_INT64 mode_;
};

bool is_intel() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel") != 0;
#else
  return false;
#endif
}

// Before any other call of MKL. Says what was asked for, and whether MKL will do it.
std::string ask_for_vectors(std::size_t lanes) {
  if (is_set("MKL_ENABLE_INSTRUCTIONS")) return ", as MKL_ENABLE_INSTRUCTIONS says";
  if (lanes < 8 || (lanes >= 16 && is_intel())) return {};
  const bool accepted =
      mkl_enable_instructions(lanes >= 16 ? MKL_ENABLE_AVX512 : MKL_ENABLE_AVX2) != 0;
  return std::string(", asked for ") + (lanes >= 16 ? "AVX-512: " : "AVX2: ") +
         (accepted ? "accepted" : "refused");
}

// The sequential layer has shorter ways. That of threads wants the symbols of OpenMP's library, and
// ends the program without.
bool takes_threads(int threads) {
  if (const char* layer = std::getenv("MKL_THREADING_LAYER")) {
    return std::string_view(layer) != "SEQUENTIAL";
  }
  const bool has_openmp = threads > 1 && dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  mkl_set_threading_layer(has_openmp ? MKL_THREADING_GNU : MKL_THREADING_SEQUENTIAL);
  return has_openmp;
}

// Makes MKL load its kernels, so that they can be named.
void call_once() {
  const float one = 1;
  float result = 0;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 1, 1, 1, 1.0f, &one, 1, &one, 1, 0.0f,
              &result, 1);
  vmsExp(1, &one, &result, VML_HA);
}

Setting choose_setting(const PeerOptions& options) {
  Setting s;
  s.about = ask_for_vectors(options.lanes);
  s.has_threads = takes_threads(options.threads);
  call_once();
  MKLVersion version;
  mkl_get_version(&version);
  s.about = std::to_string(version.MajorVersion) + "." + std::to_string(version.MinorVersion) +
            "." + std::to_string(version.UpdateVersion) +
            (is_set("MKL_THREADING_LAYER") ? ", threads as MKL_THREADING_LAYER says"
             : s.has_threads               ? ", threads of GNU OpenMP"
                                           : ", sequential") +
            s.about;
  s.products = loaded_kernels("");
  s.functions = loaded_kernels("vml_");
  s.product_lanes = lanes_of(s.products);
  s.function_lanes = lanes_of(s.functions);
  // For Zen the general library has products of its own, which are AVX2.
  if (s.products == "def" && !is_intel()) s.product_lanes = 8;
  return s;
}

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  using namespace lockstep::bench;
  const Setting setting = choose_setting(options);
  if (options.lanes < std::max(setting.product_lanes, setting.function_lanes)) return;
  contenders.push_back(std::make_unique<Mkl>(setting));
  contenders.push_back(std::make_unique<MklJit>(setting));
  contenders.push_back(
      std::make_unique<MklFunctions>(setting, "mkl_vml_ha", "VML_HA, less than 1 ulp", VML_HA));
  contenders.push_back(
      std::make_unique<MklFunctions>(setting, "mkl_vml_la", "VML_LA, less than 4 ulp", VML_LA));
}
