#pragma once

#include <cstddef>
#include <string_view>

namespace lockstep {

// What the planner of products knows of the caches. Nothing of it shows in a result.
struct Caches {
  std::size_t l2_bytes = std::size_t{1024} * 1024;  // of a core
  // Whether the last level is behind a mesh, as on Intel's server cores: it answers in about 200
  // cycles, where the rings and crossbars of others take 50 to 70.
  bool far_l3 = false;

  bool operator==(const Caches&) const = default;
};

// As the CPU says, changed by the environment variable LOCKSTEP_CACHES. Asked once. Throws as
// parse_caches does.
const Caches& caches();

// Changes what `text` names: "l2=2M,l3=far", in any order, the size of at least 64 KiB and less
// than 1 GiB in bytes or with K or M. Throws InvalidArgument for anything else.
Caches parse_caches(std::string_view text, Caches preset);

}  // namespace lockstep
