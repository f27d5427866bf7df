#include "ranks/measure_link.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace lockstep {
namespace {

// Seconds in which both ranks have each other's message.
double seconds_of_exchange(Ranks& ranks, std::size_t bytes, std::size_t times) {
  const int partner = ranks.size() - 1 - ranks.rank();
  const std::vector<std::byte> out(bytes);
  std::vector<std::byte> in(bytes);
  const Ranks::Outgoing outgoing[] = {{partner, out}};
  const Ranks::Incoming incoming[] = {{partner, in}};
  std::vector<double> seconds;
  for (std::size_t i = 0; i < times; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ranks.exchange(outgoing, incoming);
    const auto end = std::chrono::steady_clock::now();
    seconds.push_back(std::chrono::duration<double>(end - begin).count());
  }
  std::ranges::nth_element(seconds, seconds.begin() + static_cast<std::ptrdiff_t>(times / 2));
  return seconds[times / 2];
}

}  // namespace

Link measure_link(Ranks& ranks) {
  if (ranks.rank() != 0 && ranks.rank() != ranks.size() - 1) return {};
  constexpr std::size_t kLarge = std::size_t{4} << 20;
  seconds_of_exchange(ranks, kLarge, 2);  // connects
  const double latency = seconds_of_exchange(ranks, 1, 51);
  const double large = seconds_of_exchange(ranks, kLarge, 9);
  constexpr double kLeast = 1e-9;
  return {.latency = latency,
          .bandwidth = static_cast<double>(kLarge) / std::max(large - latency, kLeast)};
}

}  // namespace lockstep
