#include "peers.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <vector>

#include "machine.h"
#include "peers/peer.h"

namespace lockstep::bench {
namespace {

// A setting of the user's own stands.
void preset(const char* variable, const char* value) { setenv(variable, value, /*overwrite=*/0); }

void restrict_to_avx2() {
  preset("OPENBLAS_CORETYPE", "Haswell");
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

}  // namespace

void load_peers(Contenders& contenders, const std::string& isa) {
  if (isa == "avx2") restrict_to_avx2();
  const PeerOptions options{widest_lanes()};
  for (const auto& path : modules()) {
    void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* add = module == nullptr ? nullptr : dlsym(module, "lockstep_add_peers");
    if (add == nullptr) {
      std::cerr << "lockstep_bench: peer left out: " << dlerror() << '\n';
      continue;
    }
    reinterpret_cast<AddPeers*>(add)(contenders, options);
  }
}

}  // namespace lockstep::bench
