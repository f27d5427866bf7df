#include "system/caches.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lockstep/error.h"
#include "system/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <unistd.h>
#endif

namespace lockstep {
namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kLeastL2 = 64 * kKiB;
constexpr std::size_t kMostL2 = kKiB * kKiB * kKiB - 1;

#if defined(__x86_64__)

constexpr std::size_t kLaptopL3 = 24 * kKiB * kKiB;

struct Leaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  Leaf r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// The same for Intel's leaf 4 (Software Developer's Manual, volume 2, CPUID) and AMD's 8000001D
// (Architecture Programmer's Manual, volume 3, appendix E): each subleaf is a cache.
// Returns the bytes of the third level.
std::size_t read_caches(std::uint32_t leaf, Caches& caches) {
  std::size_t l3_bytes = 0;
  constexpr std::uint32_t kMostCaches = 8;
  for (std::uint32_t i = 0; i < kMostCaches; ++i) {
    const Leaf r = cpuid(leaf, i);
    const std::uint32_t type = r.eax & 31u;  // 0: none, 1: data, 2: instructions, 3: both
    if (type == 0) break;
    const std::size_t ways = (r.ebx >> 22u) + 1;
    const std::size_t partitions = (r.ebx >> 12u & 1023u) + 1;
    const std::size_t line = (r.ebx & 4095u) + 1;
    const std::size_t bytes = ways * partitions * line * (std::size_t{r.ecx} + 1);
    const std::uint32_t level = r.eax >> 5u & 7u;
    if (level == 2 && bytes >= kLeastL2) caches.l2_bytes = bytes;
    if (level == 3) l3_bytes = bytes;
  }
  return l3_bytes;
}

Caches detect() {
  Caches c;
  const bool is_intel = cpuid(0, 0).ebx == 0x756e6547u;  // "Genu"
  const bool is_amd = cpuid(0, 0).ebx == 0x68747541u;    // "Auth"
  if (is_amd && cpuid(0x80000000u, 0).eax >= 0x8000001du) read_caches(0x8000001du, c);
  // Server cores since Skylake-SP; those of laptops with AVX-512 have less of either cache.
  if (is_intel) {
    c.far_l3 = read_caches(4, c) > kLaptopL3 && cpu_features().avx512 && c.l2_bytes >= kKiB * kKiB;
  }
  return c;
}

#else

Caches detect() {
  Caches c;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (l2 >= static_cast<long>(kLeastL2)) c.l2_bytes = static_cast<std::size_t>(l2);
#endif
  return c;
}

#endif

[[noreturn]] void refuse(std::string_view part) {
  throw InvalidArgument("LOCKSTEP_CACHES: \"" + std::string(part) +
                        "\" is none of l2=SIZE (64K to less than 1024M), l3=near, "
                        "l3=far");
}

std::size_t parse_size(std::string_view part, std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::size_t scale = 0;
  if (unit.empty()) scale = 1;
  if (unit == "K") scale = kKiB;
  if (unit == "M") scale = kKiB * kKiB;
  if (error != std::errc() || scale == 0 || value > kMostL2 / scale) refuse(part);
  if (value * scale < kLeastL2) refuse(part);
  return value * scale;
}

void parse_part(std::string_view part, Caches& caches) {
  const std::size_t equals = part.find('=');
  const std::string_view name = part.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
  if (name == "l2") {
    caches.l2_bytes = parse_size(part, value);
  } else if (name == "l3" && (value == "near" || value == "far")) {
    caches.far_l3 = value == "far";
  } else {
    refuse(part);
  }
}

}  // namespace

Caches parse_caches(std::string_view text, Caches preset) {
  if (text.empty()) return preset;
  for (std::size_t comma = text.find(','); comma != std::string_view::npos;
       comma = text.find(',')) {
    parse_part(text.substr(0, comma), preset);
    text.remove_prefix(comma + 1);
  }
  parse_part(text, preset);
  return preset;
}

const Caches& caches() {
  static const Caches kCaches = [] {
    const char* forced = std::getenv("LOCKSTEP_CACHES");
    return parse_caches(forced == nullptr ? "" : forced, detect());
  }();
  return kCaches;
}

}  // namespace lockstep
