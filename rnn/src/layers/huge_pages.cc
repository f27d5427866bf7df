#include "layers/huge_pages.h"

#include <sys/mman.h>

#include "lockstep/detail/aligned_memory.h"
#include "tuning.h"

namespace lockstep {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void* allocate_pages(std::size_t bytes) {
  const bool is_large = bytes >= kHugePagesFrom;
  void* memory = detail::allocate_aligned(bytes, is_large ? kHugePage : kLine);
#ifdef MADV_HUGEPAGE
  // A system without them refuses, and gives small ones.
  if (is_large) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

void free_pages(void* memory) noexcept { detail::free_aligned(memory); }

}  // namespace lockstep
