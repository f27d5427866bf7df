#pragma once

#include <cstddef>
#include <type_traits>

namespace lockstep {

/// Whether a matrix is transposed in memory.
enum class Transpose {
  no,   ///< row after row
  yes,  ///< column after column
};

/// A matrix of float or const float in memory that belongs to somebody else, or its transpose.
template <class T>
struct BasicMatrixView {
  T* data = nullptr;                    ///< the first element; null if it is only a shape
  std::size_t rows = 0;                 ///< of the matrix that is meant, after the transpose
  std::size_t cols = 0;                 ///< of the matrix that is meant, after the transpose
  std::size_t stride = 0;               ///< floats from row to row in memory
  Transpose transpose = Transpose::no;  ///< whether memory holds the transpose, row after row

  /// Of no rows and no columns.
  constexpr BasicMatrixView() = default;
  /// `rows` rows of `cols` floats one after another.
  constexpr BasicMatrixView(T* first, std::size_t row_count, std::size_t col_count)
      : BasicMatrixView(first, row_count, col_count, col_count) {}
  /// `rows` rows of `cols` floats, `stride` floats from row to row.
  constexpr BasicMatrixView(T* first, std::size_t row_count, std::size_t col_count,
                            std::size_t row_stride)
      : data(first), rows(row_count), cols(col_count), stride(row_stride) {}

  /// The transpose of this matrix, of the same memory.
  [[nodiscard]] constexpr BasicMatrixView transposed() const {
    BasicMatrixView t(data, cols, rows, stride);
    t.transpose = transpose == Transpose::no ? Transpose::yes : Transpose::no;
    return t;
  }

  /// What may be written may be read.
  constexpr operator BasicMatrixView<const T>() const  // NOLINT(google-explicit-constructor)
    requires(!std::is_const_v<T>)
  {
    BasicMatrixView<const T> view(data, rows, cols, stride);
    view.transpose = transpose;
    return view;
  }
};

using MatrixView = BasicMatrixView<float>;             ///< to be written
using ConstMatrixView = BasicMatrixView<const float>;  ///< to be read

}  // namespace lockstep
