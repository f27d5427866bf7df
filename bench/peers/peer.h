// What a peer module exports: one function that adds the module's contenders.
#pragma once

#include <cstddef>
#include <string>

#include "contender.h"

namespace lockstep::bench {

struct PeerOptions {
  std::size_t lanes;  // widest vectors allowed, in float32
  int threads;        // the most that are measured
  // The core that OpenBLAS takes by itself where it was set to another; empty: it was not.
  std::string openblas_own_core = {};
};

using AddPeers = void(Contenders&, const PeerOptions&);

}  // namespace lockstep::bench

extern "C" __attribute__((visibility("default"))) lockstep::bench::AddPeers lockstep_add_peers;
