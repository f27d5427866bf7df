#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "floats.h"
#include "lockstep/aligned_vector.h"

namespace lockstep {

// A row-major matrix that stands among guards: before it, after it and between its rows. A guard is
// a NaN, so that a kernel that uses what it must not read shows it too.
class GuardedMatrix {
 public:
  // `slack` guards between rows; the first element stands `offset` floats after a cache line's
  // begin.
  GuardedMatrix(std::size_t rows, std::size_t cols, std::size_t slack = 0, std::size_t offset = 0)
      : rows_(rows),
        cols_(cols),
        stride_(cols + slack),
        begin_(kMargin + offset),
        storage_(begin_ + rows * stride_ + kMargin, guard()) {
    fill(std::vector<float>(rows * cols));
  }

  void fill(std::span<const float> values) {
    for (std::size_t i = 0; i < rows_; ++i) {
      std::ranges::copy(values.subspan(i * cols_, cols_), data() + i * stride_);
    }
  }

  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t cols() const { return cols_; }
  [[nodiscard]] std::size_t stride() const { return stride_; }
  [[nodiscard]] float* data() { return storage_.data() + begin_; }
  [[nodiscard]] const float* data() const { return storage_.data() + begin_; }
  [[nodiscard]] float& at(std::size_t row, std::size_t col) { return data()[row * stride_ + col]; }
  [[nodiscard]] float at(std::size_t row, std::size_t col) const {
    return data()[row * stride_ + col];
  }
  [[nodiscard]] std::span<const float> row(std::size_t i) const {
    return {data() + i * stride_, cols_};
  }

  // Rows without the guards between them.
  [[nodiscard]] std::vector<float> values() const {
    std::vector<float> all;
    for (std::size_t i = 0; i < rows_; ++i) all.insert(all.end(), row(i).begin(), row(i).end());
    return all;
  }

  [[nodiscard]] bool guards_intact() const {
    std::size_t begin = 0;  // of the guards before row i
    for (std::size_t i = 0; i < rows_; ++i) {
      if (!all_guards(begin, begin_ + i * stride_)) return false;
      begin = begin_ + i * stride_ + cols_;
    }
    return all_guards(begin, storage_.size());
  }

 private:
  static constexpr std::size_t kMargin = 64;
  static float guard() { return std::bit_cast<float>(std::uint32_t{0x7FC5A5A5}); }

  [[nodiscard]] bool all_guards(std::size_t begin, std::size_t end) const {
    while (begin < end && same_bits(storage_[begin], guard())) ++begin;
    return begin == end;
  }

  std::size_t rows_;
  std::size_t cols_;
  std::size_t stride_;
  std::size_t begin_;
  AlignedVector<float> storage_;
};

// A guarded matrix of standard normal numbers.
inline GuardedMatrix normal_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed,
                                   std::size_t slack = 0, std::size_t offset = 0) {
  GuardedMatrix matrix(rows, cols, slack, offset);
  matrix.fill(normal_floats(rows * cols, seed));
  return matrix;
}

}  // namespace lockstep
