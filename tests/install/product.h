// The product that the programs here compute in all kinds of threads and processes.
#pragma once

#include <lockstep/gemm.h>

#include <cstddef>
#include <vector>

inline constexpr std::size_t kSize = 200;  // large enough for several threads

inline std::vector<float> product(int threads) {
  std::vector<float> a(kSize * kSize);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 17) / 16 - 0.4f;
  std::vector<float> c(kSize * kSize);
  using lockstep::Transpose;
  lockstep::gemm(Transpose::no, Transpose::yes, kSize, kSize, kSize, 0.7f, a.data(), kSize,
                 a.data(), kSize, 0, c.data(), kSize, threads);
  return c;
}
