#pragma once

#include <cstddef>

namespace lockstep {

/// The indices begin .. end-1.
struct Range {
  std::size_t begin = 0;  ///< the first index
  std::size_t end = 0;    ///< the index after the last

  /// How many there are.
  [[nodiscard]] constexpr std::size_t size() const { return end - begin; }
  /// Whether both ends are equal.
  bool operator==(const Range&) const = default;
};

/// The share of thread `index` of `size` in `count` items; shares differ by one item at most.
/// `count` times `size` must not overflow.
[[nodiscard]] constexpr Range share(std::size_t count, int index, int size) {
  const auto i = static_cast<std::size_t>(index);
  const auto n = static_cast<std::size_t>(size);
  return {count * i / n, count * (i + 1) / n};
}

}  // namespace lockstep
