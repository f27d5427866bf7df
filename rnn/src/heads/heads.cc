#include <algorithm>
#include <cmath>

#include "heads/head.h"
#include "lockstep/rnn/network.h"
#include "lookup.h"

namespace lockstep {

const Head& head_of(const Network& network) { return find_named(kHeads, network.head, "head"); }

double known_share(const Target& target) {
  if (target.values.empty()) return target.label == kNoLabel ? 0 : 1;
  const auto is_known = [](float value) { return !std::isnan(value); };
  const auto known = std::ranges::count_if(target.values, is_known);
  return static_cast<double>(known) / static_cast<double>(target.values.size());
}

}  // namespace lockstep
