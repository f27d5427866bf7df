#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lockstep/rnn/dataset.h"

namespace lockstep {

/// FNV-1a 64 over numbers as little-endian bytes: one value to pin what must never change.
class FnvHash {
 public:
  void add(std::uint64_t bits, int bytes = 8) {
    for (int i = 0; i < bytes; ++i) value_ = (value_ ^ (bits >> 8 * i & 0xff)) * 0x100000001b3;
  }
  void add(double number) { add(std::bit_cast<std::uint64_t>(number)); }
  void add(float number) { add(std::bit_cast<std::uint32_t>(number), 4); }
  void add(const Dataset& data) {
    for (std::size_t i = 0; i < data.size(); ++i) {
      add(std::uint64_t{data.length(i)});
      if (data.target_kind() == TargetKind::label) add(static_cast<std::uint64_t>(data.label(i)));
      if (data.target_kind() == TargetKind::step_labels) {
        for (const int label : data.step_labels(i)) add(static_cast<std::uint64_t>(label));
      }
      if (!is_label(data.target_kind())) {
        for (const float target : data.targets(i)) add(target);
      }
      for (const float value : data.sequence(i)) add(value);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace lockstep
