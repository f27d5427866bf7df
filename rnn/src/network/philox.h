// The rounds of Philox4x32-10 (see lockstep/rnn/random.h), for several counters of a key at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lockstep {

// Counters on entry, random numbers on return: word w of number i is words[w][i].
template <std::size_t count>
using PhiloxWords = std::array<std::array<std::uint32_t, count>, 4>;

template <std::size_t count>
void philox_rounds(PhiloxWords<count>& words, std::array<std::uint32_t, 2> key) {
  constexpr int kRounds = 10;
  auto& [c0, c1, c2, c3] = words;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * c0[i];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ key[0];
      c1[i] = static_cast<std::uint32_t>(b);
      c2[i] = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ key[1];
      c3[i] = static_cast<std::uint32_t>(a);
    }
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
}

}  // namespace lockstep
