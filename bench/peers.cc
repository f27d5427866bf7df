#include "peers.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <vector>

#include "machine.h"
#include "peers/openblas_core.h"
#include "peers/peer.h"

namespace lockstep::bench {
namespace {

// A setting of the user's own stands.
void preset(const char* variable, const char* value) { setenv(variable, value, /*overwrite=*/0); }

void restrict_to_avx2() {
  preset("DNNL_MAX_CPU_ISA", "AVX2");
  preset("ONEDNN_MAX_CPU_ISA", "AVX2");
}

std::vector<std::filesystem::path> modules() {
  std::vector<std::filesystem::path> found;
#ifdef LOCKSTEP_BENCH_PEERS_DIR
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(LOCKSTEP_BENCH_PEERS_DIR, ignored)) {
    if (entry.path().extension() == ".so") found.push_back(entry.path());
  }
#endif
  std::sort(found.begin(), found.end());
  return found;
}

#if defined(__x86_64__)
// The name of the core whose kernels OpenBLAS takes by itself, empty if unknown. It decides when it
// is loaded, so a process of its own asks it.
std::string openblas_own_core(const std::filesystem::path& module) {
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    void* library = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* name = library == nullptr ? nullptr : dlsym(library, "openblas_get_corename");
    const std::string core = name == nullptr ? "" : reinterpret_cast<char* (*)()>(name)();
    _exit(write(ends[1], core.data(), core.size()) < 0 ? 1 : 0);
  }
  close(ends[1]);
  char core[64];
  const ssize_t length = child < 0 ? 0 : read(ends[0], core, sizeof core);
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return {core, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

// Sets the core for OpenBLAS if its own is narrower or wider than the run allows, and returns its
// own then.
std::string set_openblas_core(const std::vector<std::filesystem::path>& found) {
  const auto is_openblas = [](const auto& path) { return path.stem() == "openblas"; };
  const auto module = std::find_if(found.begin(), found.end(), is_openblas);
  if (module == found.end() || std::getenv("OPENBLAS_CORETYPE") != nullptr) return {};
  const std::string own = openblas_own_core(*module);
  const std::string core = openblas_core_to_set(own, widest_lanes(), __builtin_cpu_is("amd") != 0);
  if (core.empty()) return {};
  preset("OPENBLAS_CORETYPE", core.c_str());
  return own;
}
#else
// The names of other architectures' cores are not known here.
std::string set_openblas_core(const std::vector<std::filesystem::path>&) { return {}; }
#endif

}  // namespace

void load_peers(Contenders& contenders, const std::string& isa, int threads) {
  if (isa == "avx2") restrict_to_avx2();
  const std::vector<std::filesystem::path> found = modules();
  const PeerOptions options{widest_lanes(), threads, set_openblas_core(found)};
  // All are bound to libraries of their own before one is called: MKL then loads its parts with
  // global symbols, cblas_sgemm among them.
  std::vector<AddPeers*> loaded;
  for (const auto& path : found) {
    void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* add = module == nullptr ? nullptr : dlsym(module, "lockstep_add_peers");
    if (add == nullptr) {
      std::cerr << "lockstep_bench: peer left out: " << dlerror() << '\n';
      continue;
    }
    loaded.push_back(reinterpret_cast<AddPeers*>(add));
  }
  for (AddPeers* add : loaded) add(contenders, options);
}

}  // namespace lockstep::bench
