// OpenBLAS's cores: which kernels their names mean, and which name to set where OpenBLAS, older
// than the processor, takes one of fewer lanes by itself.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace lockstep::bench {

// float32 per fused multiply-add of the kernels of an x86 core: 16, 8, or 4 for all that have none.
// OpenBLAS built for one core writes the name in capitals.
inline std::size_t openblas_lanes(std::string_view core) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return std::equal(name.begin(), name.end(), core.begin(), core.end(), [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) ==
               std::tolower(static_cast<unsigned char>(b));
      });
    });
  };
  if (is_one_of({"SkylakeX", "Cooperlake", "SapphireRapids"})) return 16;
  if (is_one_of({"Haswell", "Zen", "Excavator", "Steamroller", "Piledriver"})) return 8;
  return 4;
}

// For OPENBLAS_CORETYPE on a run that allows `lanes`; empty if the core that OpenBLAS takes by
// itself is as wide.
inline std::string openblas_core_to_set(std::string_view own, std::size_t lanes, bool is_amd) {
  if (lanes < 8 || openblas_lanes(own) == lanes) return {};
  if (lanes >= 16) return "SkylakeX";
  return is_amd ? "Zen" : "Haswell";
}

}  // namespace lockstep::bench
