#include "layers/dropout.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string_view>

#include "binary.h"
#include "network/philox.h"
#include "tuning.h"

namespace lockstep {
namespace {

constexpr double kChoices = 65536;
constexpr std::size_t kUnitsOfBlock = 8;  // 16 bits each
constexpr std::size_t kUnitsAtOnce = kBlocksAtOnce * kUnitsOfBlock;
using Drawn = std::array<std::int32_t, kUnitsAtOnce>;

// Apart from all other streams of the seed.
std::uint64_t dropout_key(std::uint64_t seed) {
  std::uint64_t hash = kFnvBasis;
  for (const char c : std::string_view("dropout"))
    hash = fnv1a(hash, static_cast<unsigned char>(c), 1);
  return fnv1a(hash, seed, sizeof seed);
}

// Of each word the lower half, then the upper one.
Drawn split(const PhiloxWords<kBlocksAtOnce>& words) {
  Drawn drawn;
  for (std::size_t i = 0; i < kUnitsAtOnce; ++i) {
    const std::uint32_t word = words[i % kUnitsOfBlock / 2][i / kUnitsOfBlock];
    drawn[i] = static_cast<std::int32_t>(i % 2 == 0 ? word & 0xffffu : word >> 16);
  }
  return drawn;
}

}  // namespace

// The probability is rounded to a multiple of 2^-16, and the scale is that of the rounded one.
Dropout::Dropout(const Options& options)
    : key_(dropout_key(options.seed)),
      threshold_(static_cast<std::uint32_t>(
          std::min(kChoices - 1, std::nearbyint(options.dropout * kChoices)))),
      scale_(static_cast<float>(kChoices / (kChoices - threshold_))),
      of_sequence_(options.dropout_kind == DropoutKind::sequence) {}

void Dropout::apply(const LayerSize& layer, std::size_t sequence, std::size_t timestep,
                    std::size_t first, std::span<float> values) const {
  const auto direction = static_cast<std::uint32_t>(2 * layer.layer + (layer.backward ? 1 : 0));
  const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(key_),
                                         static_cast<std::uint32_t>(key_ >> 32)};
  const auto threshold = static_cast<std::int32_t>(threshold_);
  PhiloxWords<kBlocksAtOnce> words{};
  while (!values.empty()) {
    const std::size_t skipped = first % kUnitsOfBlock;
    for (std::size_t i = 0; i < kBlocksAtOnce; ++i) {
      const std::size_t block = first / kUnitsOfBlock + i;
      words[0][i] = static_cast<std::uint32_t>(block * 2 * kMaxLayers) + direction;
      words[1][i] = of_sequence_ ? 0 : static_cast<std::uint32_t>(timestep);
      words[2][i] = static_cast<std::uint32_t>(sequence);
      words[3][i] = update_;
    }
    philox_rounds(words, key);
    const Drawn drawn = split(words);
    const std::size_t count = std::min(kUnitsAtOnce - skipped, values.size());
    for (std::size_t j = 0; j < count; ++j) {
      // A branch would be mispredicted as often as an output is dropped.
      const std::int32_t mask = drawn[skipped + j] < threshold ? 0 : -1;
      values[j] = std::bit_cast<float>(std::bit_cast<std::int32_t>(scale_ * values[j]) & mask);
    }
    first += count;
    values = values.subspan(count);
  }
}

}  // namespace lockstep
