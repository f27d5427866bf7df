#include "heads/head.h"
#include "lockstep/rnn/network.h"
#include "lookup.h"

namespace lockstep {

std::span<const Head* const> heads() {
  static constexpr const Head* kHeads[] = {&kClassifyHead};
  return kHeads;
}

const Head& head_named(std::string_view name) { return find_named(heads(), name, "head"); }

std::vector<std::string> head_names() { return names_of(heads()); }

}  // namespace lockstep
