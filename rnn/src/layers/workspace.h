// The memory of a computation.
#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "layers/huge_pages.h"
#include "lockstep/gemm.h"

namespace lockstep {

// Hands out memory to the objects of a computation, or only counts what they ask for. The same
// constructors run on both, so that the size of a computation is known before it has any memory.
class Workspace {
 public:
  // Counts: every span and packed matrix that it hands out is empty.
  Workspace() = default;
  Workspace(Workspace&&) = default;
  Workspace& operator=(Workspace&&) = default;
  // One that has memory for whoever asks for exactly what this one counted.
  [[nodiscard]] Workspace with_memory() const {
    Workspace result;
    result.counts_ = false;
    result.memory_.resize(arena_bytes_);
    return result;
  }

  [[nodiscard]] bool has_memory() const { return !counts_; }

  // `count` zeros that begin on a cache line.
  template <class T>
  [[nodiscard]] std::span<T> take(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    const std::size_t begin = arena_bytes_;
    add(arena_bytes_, count, sizeof(T));
    add(arena_bytes_, (kLine - arena_bytes_ % kLine) % kLine, 1);
    if (counts_) return {};
    if (arena_bytes_ > memory_.size()) throw std::logic_error("Workspace: more than was counted");
    return {reinterpret_cast<T*>(memory_.data() + begin), count};
  }

  [[nodiscard]] PackedMatrix take_packed(std::size_t k, std::size_t n) {
    add(other_bytes_, PackedMatrix::bytes_for(k, n), 1);
    return counts_ ? PackedMatrix() : PackedMatrix(k, n);
  }

  // `count` objects made by `make()`, which take as much each.
  template <class Make>
  [[nodiscard]] auto take_objects(std::size_t count, const Make& make) {
    std::vector<decltype(make())> objects;
    add(other_bytes_, count, sizeof(objects[0]));
    if (!counts_) {
      objects.reserve(count);
      for (std::size_t i = 0; i < count; ++i) objects.push_back(make());
    } else if (count > 0) {
      const std::size_t arena = arena_bytes_;
      const std::size_t other = other_bytes_;
      static_cast<void>(make());
      add(arena_bytes_, count - 1, arena_bytes_ - arena);
      add(other_bytes_, count - 1, other_bytes_ - other);
    }
    return objects;
  }

  // One object for each of `items`, made by `make(item)`.
  template <class Items, class Make>
  [[nodiscard]] auto take_each(const Items& items, const Make& make) {
    std::vector<decltype(make(*items.begin()))> objects;
    add(other_bytes_, items.size(), sizeof(objects[0]));
    objects.reserve(items.size());
    for (const auto& item : items) objects.push_back(make(item));
    return objects;
  }

  // Of all that was taken.
  [[nodiscard]] std::size_t bytes() const { return arena_bytes_ + other_bytes_; }

 private:
  static constexpr std::size_t kLine = 64;

  static void add(std::size_t& bytes, std::size_t count, std::size_t size) {
    constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / 4;
    if (size != 0 && count > (kMost - bytes) / size) throw std::bad_array_new_length();
    bytes += count * size;
  }

  bool counts_ = true;
  std::size_t arena_bytes_ = 0;
  std::size_t other_bytes_ = 0;
  std::vector<std::byte, HugePageAllocator<std::byte>> memory_;
};

// An object together with the memory that its constructor takes from a workspace.
template <class T>
class WithMemory {
 public:
  template <class... Args>
  explicit WithMemory(const Args&... args)
      : workspace_(counted(args...).with_memory()), object_(workspace_, args...) {}

  template <class... Args>
  [[nodiscard]] static std::size_t bytes_for(const Args&... args) {
    return counted(args...).bytes();
  }
  [[nodiscard]] std::size_t bytes() const { return workspace_.bytes(); }

  T& operator*() { return object_; }
  const T& operator*() const { return object_; }
  T* operator->() { return &object_; }
  const T* operator->() const { return &object_; }

 private:
  template <class... Args>
  static Workspace counted(const Args&... args) {
    Workspace workspace;
    static_cast<void>(T(workspace, args...));
    return workspace;
  }

  Workspace workspace_;
  T object_;
};

}  // namespace lockstep
