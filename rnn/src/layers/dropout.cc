#include "layers/dropout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "binary.h"
#include "lockstep/rnn/random.h"

namespace lockstep {
namespace {

constexpr double kChoices = 65536;
constexpr std::size_t kUnitsOfBlock = 8;  // 16 bits each

// Apart from all other streams of the seed.
std::uint64_t dropout_key(std::uint64_t seed) {
  std::uint64_t hash = kFnvBasis;
  for (const char c : std::string_view("dropout"))
    hash = fnv1a(hash, static_cast<unsigned char>(c), 1);
  return fnv1a(hash, seed, sizeof seed);
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
                    std::span<float> values) const {
  const auto direction = static_cast<std::uint32_t>(2 * layer.layer + (layer.backward ? 1 : 0));
  const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(key_),
                                         static_cast<std::uint32_t>(key_ >> 32)};
  const std::uint32_t t = of_sequence_ ? 0 : static_cast<std::uint32_t>(timestep);
  for (std::size_t first = 0; first < values.size(); first += kUnitsOfBlock) {
    const auto place = static_cast<std::uint32_t>(first / kUnitsOfBlock * 2 * kMaxLayers);
    const std::array<std::uint32_t, 4> bits =
        Philox::block({place + direction, t, static_cast<std::uint32_t>(sequence), update_}, key);
    const std::size_t count = std::min(kUnitsOfBlock, values.size() - first);
    for (std::size_t j = 0; j < count; ++j) {
      const std::uint32_t drawn = bits[j / 2] >> (16 * (j % 2)) & 0xffffu;
      values[first + j] = drawn < threshold_ ? 0.0f : scale_ * values[first + j];
    }
  }
}

}  // namespace lockstep
