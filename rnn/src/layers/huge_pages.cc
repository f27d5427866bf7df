#include "layers/huge_pages.h"

#include <sys/mman.h>

#include "tuning.h"

namespace lockstep {
namespace {

constexpr std::align_val_t kLine{64};
constexpr std::align_val_t kHugePage{std::size_t{2} << 20};

std::align_val_t alignment_of(std::size_t bytes) {
  return bytes >= kHugePagesFrom ? kHugePage : kLine;
}

}  // namespace

void* allocate_pages(std::size_t bytes) {
  const std::align_val_t alignment = alignment_of(bytes);
  void* memory = ::operator new(bytes, alignment);
#ifdef MADV_HUGEPAGE
  // A system without them refuses, and gives small ones.
  if (alignment == kHugePage) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

void free_pages(void* memory, std::size_t bytes) noexcept {
  ::operator delete(memory, alignment_of(bytes));
}

}  // namespace lockstep
