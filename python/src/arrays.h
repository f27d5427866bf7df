// NumPy arrays, read and made by Python's buffer protocol.
#pragma once

#include <Python.h>
#include <nanobind/nanobind.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lockstep::python {

namespace nb = nanobind;

// What `make` gives, made by the first call and kept in `kept` for ever. With the GIL: where a
// static of C++ guards itself, two threads whose `make` lets other threads run would wait for ever.
template <class Made, class Make>
const Made& once(const Made*& kept, const Make& make) {
  if (kept == nullptr) {
    std::unique_ptr<const Made> made(make());
    if (kept == nullptr) kept = made.release();
  }
  return *kept;
}

// The memory of an array while it lives. Made and destroyed with the GIL.
class Buffer {
 public:
  enum class Access { read, write };

  // No buffer: to be taken.
  Buffer() = default;
  ~Buffer() { release(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Of an object that has one of C order; false, with no error set, if it has not.
  bool take(nb::handle object, Access access = Access::read);
  // The same with strides of any kind.
  bool take_strided(nb::handle object, Access access = Access::read);

  // Float32 where a float may be.
  [[nodiscard]] bool holds_floats() const;
  [[nodiscard]] bool is_aligned() const;
  [[nodiscard]] std::size_t ndim() const { return static_cast<std::size_t>(view_.ndim); }
  [[nodiscard]] std::size_t shape(std::size_t axis) const {
    return static_cast<std::size_t>(view_.shape[axis]);
  }
  // In bytes, after take_strided.
  [[nodiscard]] std::ptrdiff_t stride(std::size_t axis) const { return view_.strides[axis]; }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(view_.len); }

  template <class T>
  [[nodiscard]] T* data() const {
    return static_cast<T*>(view_.buf);
  }
  template <class T>
  [[nodiscard]] std::span<T> values() const {
    return {data<T>(), bytes() / sizeof(T)};
  }

 private:
  bool take(nb::handle object, int flags);
  void release();

  Py_buffer view_{};
};

// Float32 in C order of whatever NumPy can make it of: without a copy if it is so already. Throws
// TypeError with `what` for other things than numbers.
void take_floats(Buffer& buffer, nb::handle object, const char* what);
// The same of whole numbers, as int64. Throws ValueError where one does not fit.
void take_integers(Buffer& buffer, nb::handle object, const char* what);
// The same, but no booleans, which would be a mask.
void take_indices(Buffer& buffer, nb::handle object, const char* what);

// Within the range of int. Throws ValueError with `what`.
[[nodiscard]] std::vector<int> to_ints(const Buffer& integers, const char* what);

// Whether two arrays have an element in common.
[[nodiscard]] bool share_memory(nb::handle a, nb::handle b);

// "(3, 4)"
[[nodiscard]] std::string shape_text(const Buffer& buffer);

// A new array of C order, with undefined values.
[[nodiscard]] nb::object new_floats(std::initializer_list<std::size_t> shape);
// New arrays with these values. The number of values must be that of the shape.
[[nodiscard]] nb::object float_array(std::span<const float> values,
                                     std::initializer_list<std::size_t> shape);
[[nodiscard]] nb::object float_array(std::span<const float> values);
[[nodiscard]] nb::object double_array(std::span<const double> values);
[[nodiscard]] nb::object int_array(std::span<const int> values,
                                   std::initializer_list<std::size_t> shape);
[[nodiscard]] nb::object index_array(std::span<const std::size_t> values,
                                     std::initializer_list<std::size_t> shape);

}  // namespace lockstep::python
