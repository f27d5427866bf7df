#pragma once

#include "contender.h"
#include "lockstep/backend.h"

namespace lockstep::bench {

// Ourselves, on one backend.
std::unique_ptr<Contender> lockstep_contender(const BackendInfo& backend);

}  // namespace lockstep::bench
