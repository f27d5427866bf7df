#include "system/cpu_features.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

namespace lockstep {
namespace {

[[maybe_unused]] bool has(std::uint64_t word, std::initializer_list<int> bits) {
  return std::ranges::all_of(bits, [word](int bit) { return (word >> bit & 1u) != 0; });
}

#if defined(__x86_64__)

// Bit numbers are those of Intel's Software Developer's Manual, volume 2, CPUID.
struct Leaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(std::uint32_t leaf) {
  Leaf r;
  __get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// The registers that the operating system saves (XCR0). A CPU may have AVX that the kernel or a
// hypervisor has not switched on: using it would fault.
std::uint32_t saved_state(const Leaf& leaf1) {
  if (!has(leaf1.ecx, {27})) return 0;  // OSXSAVE: without it XGETBV itself faults
  std::uint32_t low = 0, high = 0;  // NOLINT(misc-const-correctness): written by the instruction
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

CpuFeatures detect() {
  const Leaf leaf1 = cpuid(1);
  const Leaf leaf7 = cpuid(7);
  const Leaf extended = cpuid(0x80000001);
  const std::uint32_t state = saved_state(leaf1);
  const bool ymm = has(state, {1, 2});
  const bool zmm = ymm && has(state, {5, 6, 7});

  CpuFeatures f;
  f.ssse3 = has(leaf1.ecx, {0, 9});
  f.sse4 = f.ssse3 && has(leaf1.ecx, {1, 19, 20, 23, 25});
  f.avx2 = f.sse4 && ymm && has(leaf1.ecx, {12, 28, 29}) && has(leaf7.ebx, {3, 5, 8}) &&
           has(extended.ecx, {5});
  f.avx512 = f.avx2 && zmm && has(leaf7.ebx, {16, 17, 28, 30, 31});
  return f;
}

#elif defined(__aarch64__)

// Bit numbers are those of Linux's asm/hwcap.h.
CpuFeatures detect() {
  CpuFeatures f;
  f.neon = true;
#if defined(__linux__)
  const std::uint64_t hwcap = getauxval(AT_HWCAP);
  const std::uint64_t hwcap2 = getauxval(AT_HWCAP2);
  f.neon_crypto = has(hwcap, {3, 4, 5, 6});
  f.neon_bf16 = f.neon_crypto && has(hwcap, {9, 10, 20}) && has(hwcap2, {14});
  if (has(hwcap, {22})) {
    constexpr int kGetVectorLength = 51;  // PR_SVE_GET_VL, bytes in the low 16 bits
    const int bytes = prctl(kGetVectorLength) & 0xFFFF;
    const bool sve2 = has(hwcap2, {1, 2});
    f.sve = bytes > 16;
    f.sve2 = f.sve && sve2;
    f.sve_256_bits = bytes == 32;
    f.sve2_128_bits = sve2 && has(hwcap2, {9, 12, 13, 14}) && bytes == 16;
  }
#endif
  return f;
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace lockstep
